"""A claim on one base at one scale with the runs that exist, and the choice of the runs that a look may use."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.judge.arms import ArmEvidence, ArmRun, Block
from study.judge.blocks import NO_PRIOR, Pairs, Prior, moderated, pair
from study.judge.intervals import LEVEL, Difference, Floats, Ratio, Times, ratio_of_logs
from study.plan.fixed_rules import Preregistration, first_seed_of, looks_of
from study.questions.claim import Claim
from study.questions.looks import Looks
from study.questions.own_rates import IN_TITLE, RATE, is_at_own_rates, question_of
from study.questions.scales import scale_named
from study.record.answers import MEASURES
from study.record.tables import run_name

SO_FAR = 0
"""Stands for a look's number and means: all existing runs."""


@dataclass(frozen=True)
class Case:
    """A claim on one base at one scale, with the arms that have runs."""

    claim_name: str
    claim: Claim
    scale: str
    base: str
    fingerprint: str  # of the images
    arms: tuple[ArmEvidence, ...] = ()
    machines: tuple[str, ...] = ()  # of all runs, in the order in which they began
    rule: Preregistration | None = None  # fixed rule of the scale
    was_asked: bool = True  # whether some of its runs were made for it, not only for other claims
    prior: Callable[[int], Prior] = lambda look: NO_PRIOR  # by look: the prior from all comparisons of the same measure

    @property
    def name(self) -> tuple[str, str]:
        """Its name in a family: claim and base."""
        return self.claim_name, self.base

    @property
    def at_own_rates(self) -> bool:
        """Whether it repeats another claim with each arm at its own rate. A claim file may have such a name too."""
        return is_at_own_rates(self.claim_name) and RATE in self.claim.tune

    @property
    def question(self) -> str:
        """The name of the claim that it is about: at own rates, that of the claim it repeats."""
        return question_of(self.claim_name) if self.at_own_rates else self.claim_name

    @property
    def question_title(self) -> str:
        return self.claim.title.removesuffix(IN_TITLE)

    @property
    def role(self) -> str:
        return self.claim.role(self.scale)

    @property
    def data(self) -> str:
        return scale_named(self.scale).data

    @property
    def looks(self) -> Looks:
        return looks_of(self.rule)

    @property
    def first_seed(self) -> int:
        return first_seed_of(self.rule, self.claim)

    @property
    def by_label(self) -> dict[str, ArmEvidence]:
        return {arm.label: arm for arm in self.arms}

    def arm(self, label: str) -> ArmEvidence | None:
        return self.by_label.get(label)

    @property
    def control(self) -> ArmEvidence | None:
        return self.arm(self.claim.rule.control)

    @property
    def first_arm(self) -> str:
        return self.claim.arms[0].label

    def seeds_needed(self, label: str, look: int) -> int:
        """Return how many seeds of an arm a look needs."""
        return (self.looks.first_arm if label == self.first_arm else self.looks.arms)[look - 1]

    def shared(self, *labels: str) -> list[Block]:
        """Return the blocks in which each of these arms has a run, in the order in which they were run, so that a later run
        changes no look that was taken. On each machine these are the seeds from the first on, up to the first that is missing.
        A run whose value must still be measured on its weights counts as missing. Where a seed counts once, it counts on the
        machine that ran it first."""
        blocks = self._in_order(*labels)
        return first_of_each_seed(blocks) if self.claim.measure.counts_each_seed_once else blocks

    def _in_order(self, *labels: str) -> list[Block]:
        """Return the blocks of `shared`, with a seed on several machines counted on each."""
        there = set.intersection(*(self._there(label) for label in labels))
        began = [self._began(label) for label in labels]
        found: list[tuple[str, int, Block]] = []
        for place, machine in enumerate(self.machines or sorted({machine for machine, _ in there})):
            seed, latest = self.first_seed, ""
            while (block := (machine, seed)) in there:
                latest = max(latest, *(times.get(block, "") for times in began))
                found.append((latest, place, block))
                seed += 1
        return [block for _, _, block in sorted(found)]

    def shared_at(self, look: int, *labels: str) -> list[Block]:
        """Return the blocks of `shared` that a look uses where all of these arms have as many seeds."""
        return self.shared(*labels)[: None if look == SO_FAR else self.looks.arms[look - 1]]

    def there_of(self, seeds: int, *labels: str) -> int:
        """Return how many of the first `seeds` seeds have a run of each of these arms, on the machine that has most of them.
        Unlike `shared`, it counts seeds after a missing one too: they need not be run again."""
        found = set.intersection(*(self._there(label) for label in labels))
        counts = Counter(machine for machine, seed in found if self.first_seed <= seed < self.first_seed + seeds)
        return max(counts.values(), default=0)

    def _first_there(self, *labels: str) -> Callable[[Block], tuple[str, int]]:
        """Return a sort key for blocks: when the last of these arms began its run there, then the order of machines."""
        began, place = [self._began(label) for label in labels], {name: at for at, name in enumerate(self.machines)}
        return lambda block: (max(times.get(block, "") for times in began), place.get(block[0], len(place)))

    def _began(self, label: str) -> dict[Block, str]:
        return {run.block: run.started for run in self._runs(label)}

    def _there(self, label: str) -> set[Block]:
        by_time = self.claim.measure.kind == "time"
        return {run.block for run in self._runs(label) if by_time or run.failed or run.value is not None}

    def _runs(self, label: str) -> Sequence[ArmRun]:
        return arm.runs if (arm := self.arm(label)) else ()

    def at(self, look: int, *labels: str) -> dict[str, list[Block]] | None:
        """Return the blocks of each arm that a look uses; None where the look is not complete.

        All arms share the same blocks, as many as the arm that needs fewest. Where these are all on one machine, the first arm
        has its additional seeds too; on several machines only pairs are compared."""
        if look == SO_FAR:
            blocks = {label: [run.block for run in self._runs(label)] for label in labels}
            if len(labels) == 1 and self.claim.measure.counts_each_seed_once:
                there = sorted(self._there(labels[0]), key=self._first_there(labels[0]))
                return {labels[0]: first_of_each_seed(there)}
            return blocks
        counts = {label: self.seeds_needed(label, look) for label in labels}
        least = min(counts.values())
        shared = self.shared(*labels)
        if len(shared) < least:
            return None
        taken = {label: shared[:least] for label in labels}
        used = {machine for machine, _ in shared[:least]}
        for label, count in counts.items():
            if count > least and len(used) == 1:
                own = [block for block in self._in_order(label) if block[0] in used]  # another machine may have one first
                if len(own) < count:
                    return None
                taken[label] = own[:count]
        return taken

    def lacks(self, look: int, compared: Iterable[Sequence[str]]) -> dict[str, int]:
        """Return how many seeds of the first arm a look lacks, though it has its pairs of each two arms in `compared`; empty if
        it lacks none, or pairs too."""
        needed, most = self.looks.arms[look - 1], 0
        for labels in compared:
            pairs = self.shared(*labels)
            if len(labels) != 2 or len(pairs) < needed:
                return {}
            used = {machine for machine, _ in pairs[:needed]}
            if len(used) == 1 and self.first_arm in labels:
                own = [block for block in self._in_order(self.first_arm) if block[0] in used]
                most = max(most, self.looks.first_arm[look - 1] - len(own))
        return {self.first_arm: most} if most else {}

    def complete_looks(self, *labels: str) -> list[int]:
        """Return the looks for which these arms have enough runs. A look may be skipped: a later one over several machines
        needs no additional seeds of the first arm."""
        return [look for look in range(1, len(self.looks.arms) + 1) if self.at(look, *labels) is not None]

    def values(self, label: str, blocks: Sequence[Block]) -> dict[Block, float]:
        """Return an arm's values in these blocks, without the runs that have none. Times are natural logs of times restricted
        to the budget, which every run has."""
        if not (arm := self.arm(label)):
            return {}
        runs = arm.of(blocks)
        if self.claim.measure.kind == "time":
            logs = np.log(arm.times_of(runs).restricted).tolist()
            return {run.block: log for run, log in zip(runs, logs, strict=True)}
        return {run.block: run.result for run in runs if run.result is not None}

    def contrast(self, signs: Mapping[str, int], blocks: Iterable[Block]) -> dict[Block, float]:
        """Return the sum of the arms' values times their signs, for each of these blocks in which all arms have a value.
        Another order of `signs` can change the last digit of a sum."""
        blocks = list(blocks)
        values = {label: self.values(label, blocks) for label in signs}
        whole = [block for block in blocks if all(block in own for own in values.values())]
        found = dict.fromkeys(whole, 0.0)
        for label, sign in signs.items():  # not with `sum`, which rounds in another way
            found = {block: value + sign * values[label][block] for block, value in found.items()}
        return found

    def times(self, label: str, blocks: Sequence[Block]) -> Times:
        """Return an arm's times in these blocks. Runs that never reached the target are censored at the budget, which all arms
        share."""
        if arm := self.arm(label):
            return arm.times_of(arm.of(blocks))
        budgets = [arm.budget_epochs for arm in self.arms]  # a scale may have its own
        return Times((), float(budgets[0] if budgets else self.claim.bases[self.base].optim.epochs))

    def pairs(self, treated: str, control: str, look: int) -> Pairs | None:
        """Pair two arms block by block at a look, on the line on which they are judged; None where the look is not complete."""
        blocks = self.compared(treated, control, look)
        if blocks is None:
            return None
        return pair(self.values(treated, blocks[treated]), self.values(control, blocks[control]))

    def compared(self, treated: str, control: str, look: int) -> dict[str, list[Block]] | None:
        """Return the blocks of `at` whose runs are compared with a run of the other arm; at a look these are all blocks."""
        blocks = self.at(look, treated, control)
        if look == SO_FAR and blocks is not None:  # drop runs on machines where the other arm has none
            machines = {machine for machine, _ in blocks[treated]} & {machine for machine, _ in blocks[control]}
            both = set(blocks[treated]) & set(blocks[control])
            if self.claim.measure.counts_each_seed_once:
                both = set(first_of_each_seed(sorted(both, key=self._first_there(treated, control))))
            blocks = {
                label: [block for block in own if block[0] in machines and (len(machines) == 1 or block in both)]
                for label, own in blocks.items()
            }
        return blocks

    def compare(self, treated: str, control: str, look: int = SO_FAR, level: float = LEVEL) -> Ratio | Difference:
        """Compare two arms, in the claim's measure. This chooses the estimator for every claim that compares arms."""
        pairs = self.pairs(treated, control, look)
        assert pairs is not None, f"look {look} of {treated} and {control} is not complete"
        found = moderated(pairs, self.prior(look), level)
        if self.claim.measure.kind != "time":
            return found
        blocks = self.compared(treated, control, look)
        assert blocks is not None
        return ratio_of_logs(found, *(self.times(label, blocks[label]).censored for label in (treated, control)))

    def comparisons(self, look: int) -> Iterator[tuple[tuple, Pairs]]:
        """Yield every arm against the claim's control at a look: the names of its runs, which identify a comparison that
        several claims share, and the pairs."""
        control = self.claim.rule.control
        for label in self.by_label:
            if label == control or self.control is None:
                continue
            pairs = self.pairs(label, control, look)
            blocks = self.at(look, label, control)
            if pairs is not None and blocks is not None:
                runs = (frozenset(self._keys(one, blocks[one])) for one in (label, control))
                yield tuple(sorted(runs, key=sorted)), pairs

    def _keys(self, label: str, blocks: Sequence[Block]) -> list[str]:
        return [run_name(*run.name) for run in self.by_label[label].of(blocks)]

    def failures(self, label: str, blocks: Sequence[Block]) -> int:
        """Return how many runs of an arm in these blocks have no result."""
        return sum(run.failed for run in arm.of(blocks)) if (arm := self.arm(label)) else 0

    def no_evidence(self, blocks: Mapping[str, Sequence[Block]]) -> Literal["", "did not learn", "changed nothing"]:
        """Return why the runs are no evidence: none learned anything, or both arms ended with the same weights; else empty."""
        runs = [run for label, own in blocks.items() if (arm := self.arm(label)) for run in arm.of(own)]
        if runs and all(run.failed for run in runs):
            return "did not learn"
        if len(blocks) == 2:
            first, second = (self._weights(label) for label in blocks)
            both = [block for block in first if first[block] and second.get(block)]
            if both and all(first[block] == second[block] for block in both):
                return "changed nothing"
        return ""

    def _weights(self, label: str) -> dict[Block, str]:
        return {run.block: run.weights for run in self._runs(label) if run.outcome != "diverged"}  # all NaNs are equal

    def wrong(self, label: str, blocks: Sequence[Block]) -> NDArray | None:
        """Return how wrong an arm's answers are, [blocks, images], where the measure is a test error; None where a run did not
        keep its answers."""
        error, arm = getattr(self.claim.measure, "of", ""), self.arm(label)
        if error not in MEASURES or arm is None or not blocks:
            return None
        runs = arm.by_block
        found = [runs[block].wrong(error) if block in runs else None for block in blocks]
        whole = [one for one in found if one is not None]
        if len(whole) < len(found) or len({len(one) for one in whole}) > 1:
            return None
        return np.stack(whole)

    def ratio_of_initial_logits(self, treated: str, control: str) -> float | None:
        """Return the spread of an arm's initial logits as a multiple of the control's; None where it was not measured."""
        first, second = (arm.initial_logits if (arm := self.arm(label)) else None for label in (treated, control))
        return first / second if first and second else None

    def on_line(self, label: str, blocks: Sequence[Block]) -> Floats:
        """Return an arm's values in these blocks, shape (runs,), on the line on which they are judged."""
        return np.array(list(self.values(label, blocks).values()), dtype=float)


def of_interaction(labels: Sequence[str]) -> dict[str, int]:
    """Return the signs of `Case.contrast` for how much more the first change matters together with the second. The four arms
    have both changes, the first, the second and none."""
    both, first, second, control = labels
    return {both: 1, second: -1, first: -1, control: 1}


def in_both(blocks: Mapping[str, Sequence[Block]], treated: str, control: str) -> list[Block]:
    """Return the blocks of the treated arm that the control has too."""
    others = set(blocks[control])
    return [block for block in blocks[treated] if block in others]


def first_of_each_seed(blocks: Iterable[Block]) -> list[Block]:
    """Return the first block of each seed."""
    first: dict[int, Block] = {}
    for block in blocks:
        first.setdefault(block[1], block)
    return list(first.values())
