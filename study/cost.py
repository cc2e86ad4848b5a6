"""What runs will cost, from what the committed ones took: epochs from the search, seconds an epoch from the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.machine import Machine
from study import table
from study.plan import Cell, Tuned
from study.scales import SCALES


@dataclass(frozen=True)
class Cost:
    seconds: float | None  # None: nothing comparable was ever run
    source: str
    words: str


def expected_seconds(cells: Sequence[Cell], machine: Machine, results: Path) -> Cost:
    """Wall seconds of `cells` on `machine`. Where this machine has run nothing yet, the pace is another's, and named."""
    if not cells:
        return Cost(0.0, "nothing to run", "Nothing is left to run.")
    runs, _ = table.read(results)
    tuned, pace = Tuned.read(results), runs.assign(pace=runs.seconds / runs.steps)
    own = pace[pace.machine == machine.label]
    known = own if len(own) else pace
    if not len(known):
        return Cost(None, "nothing", f"{len(cells)} runs to train; nothing was run yet that would tell how long they take.")
    total = 0.0
    for cell in cells:
        same = known[(known.base == cell.base) & (known.data == cell.recipe.data.name)]
        same = same if len(same) else known
        steps_per_epoch = SCALES[cell.scale].train_images // cell.recipe.optim.batch_size
        total += tuned.expected_epochs(cell) * steps_per_epoch * same.pace.median()
    seconds = 1.15 * total / machine.jobs  # evaluation, start-up and uneven lengths
    source = machine.label if len(own) else ", ".join(sorted(set(known.machine)))
    return Cost(seconds, source, f"{len(cells)} runs to train: about {seconds / 60:.0f} min at the pace of runs on {source}.")
