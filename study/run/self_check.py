"""Checks whether this machine computes what it should, above all a GPU that was never used before.

It compares kernels with formulas, gradients of the networks with float64, and runs side by side or in a graph with the same
runs alone. On a CPU it checks the C kernels."""

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.card import card
from alexnet.data.image_sets import ImageSet
from alexnet.errors import Refused
from alexnet.files import locked, write_atomically
from alexnet.kernels import gpu
from alexnet.kernels.compiled import own_folder
from alexnet.machine import Machine
from alexnet.model.network import AlexNet
from alexnet.model.pooling import pool
from alexnet.model.response_norm import by_formula, normalize
from alexnet.recipe import ALEXNET_32, ALEXNET_64, FIGURE_1_A, FIGURE_1_B, FIGURE_1_C, NUMERICS, Recipe, changed
from alexnet.rng import hashed_draws
from alexnet.training import cuda_graph
from alexnet.training.cuda_graph import one_by_one, rounds_on
from alexnet.training.loop import Training
from alexnet.training.optimizer import PaperSGD
from alexnet.training.side_by_side import side_by_side, to_its_end

BASES: Mapping[str, Recipe] = {
    "A": FIGURE_1_A,
    "B": FIGURE_1_B,
    "C": FIGURE_1_C,
    "ALEXNET_32": ALEXNET_32,
    "ALEXNET_64": ALEXNET_64,
}
FP32_LIMIT, BF16_TIMES = {"cpu": 1e-3, "cuda": 5e-3}, 2.0
"""Limits for gradients. In float32 the limit is a share of the largest value. In bf16 it is this many times the error of a
CPU's own bf16. cuDNN uses Winograd's method for the weight gradient of ALEXNET_64's second layer; it is 2e-3 to 3e-3 off on an
H100, and 7e-7 without cuDNN. TF32 was not measured; by its number of bits its error is an eighth of bf16's, which is 1e-1 or
more."""
BATCHES = 3
"""The most batches that are tried in float32. In one of 20 batches a unit is so near to 0, or to another unit of its pooling
window, that rounding sends the gradient elsewhere than in float64, on a CPU too (up to 3e-2 of the largest value). A real fault
shows in every batch."""
ROUNDED = {torch.float32: 1e-5, torch.bfloat16: 2**-7}
"""Limits for kernels, as shares of the largest value."""
STEPS = 12
SECONDS = 120
"""The default time limit of a check. On a GPU most of the time is compiling. An H100 took 32 to 38 seconds."""
Rows = Iterator["Comparison"]


@dataclass(frozen=True)
class Comparison:
    """One comparison of two tensors: their largest difference (`apart`) and its limit, both as shares of the largest value."""

    what: str
    against: str
    apart: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.apart <= self.limit  # false if it is NaN


def parts(machine: Machine) -> dict[str, Callable[[], Rows]]:
    """Return the checks by name, the most informative first. Each must be called within `machine.torch_settings()`."""
    has_bf16 = machine.device == "cpu" or card().has_bf16
    kinds = [kind for kind in ROUNDED if has_bf16 or kind != torch.bfloat16]
    return {
        **{f"kernels, {_name(kind)}": functools.partial(_kernels, machine.device, kind) for kind in kinds},
        "update and draws": functools.partial(_update_and_draws, machine.device),
        "runs among others": functools.partial(_runs, machine),
        **{f"gradients of {name}": functools.partial(_gradients, machine, name, recipe) for name, recipe in BASES.items()},
    }


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference, divided by the largest value of `theirs`."""
    difference = (ours.double().cpu() - theirs.double().cpu()).abs().max()
    return float(difference / theirs.double().abs().max().clamp_min(1e-30).cpu())


# ---- Kernels -------------------------------------------------------------------------------------------------------------


def _kernels(device: str, kind: torch.dtype) -> Rows:
    for channels, columns in ((96, 2), (256, 2), (40, 1)):
        over, settings = ("maps", columns), (5, 2.0, 0.01, 0.75)
        yield from _operation(
            f"ReLU and normalization across {channels // columns} maps",
            lambda maps, over=over, settings=settings: normalize(maps, over, *settings, relu=True),
            lambda maps, over=over, settings=settings: by_formula(F.relu(maps), over, *settings),
            _made((4, channels, 9, 7), device, kind),
        )
    yield from _operation(
        "normalization within maps",
        lambda maps: normalize(maps, ("pixels", 1), 5, 1.0, 0.01, 0.75),
        lambda maps: by_formula(maps, ("pixels", 1), 5, 1.0, 0.01, 0.75),
        _made((4, 48, 9, 7), device, kind),
    )
    for window in (3, 2):
        yield from _operation(
            f"max pool {window} x {window} and ReLU",
            functools.partial(pool, kind="max", window=window, stride=2, relu=True),
            lambda maps, window=window: F.relu(F.max_pool2d(maps, window, 2, ceil_mode=True)),
            _made((4, 48, 9, 7), device, kind),
        )


def _update_and_draws(device: str) -> Rows:
    w, g = (torch.nn.Parameter(_made((3000,), device)) for _ in range(2))
    before, w.grad = w.detach().double(), g.detach()
    PaperSGD([w], lr=0.1, momentum=0.9, weight_decay=0.01).step()
    expected = before - 0.1 * 0.01 * before - 0.1 * g.detach().double()
    yield Comparison("update of weights", "its rule in float64", apart(w.detach(), expected), ROUNDED[torch.float32])
    ours, theirs = (hashed_draws(-77, torch.tensor(5, device=place), 3001) for place in (device, "cpu"))
    yield Comparison("draws of dropout", "those of a CPU, to the bit", float(not torch.equal(ours.cpu(), theirs)), 0.0)


def _made(shape: tuple[int, ...], device: str, kind: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape))).mul_(5).to(device, kind)
    return values.to(memory_format=torch.channels_last) if len(shape) == 4 else values


def _operation(name: str, ours: Callable[[Tensor], Tensor], formula: Callable[[Tensor], Tensor], maps: Tensor) -> Rows:
    """Compare forward and backward with the formula in float64 on the CPU."""
    mine, exact = maps.detach().requires_grad_(), maps.detach().cpu().double().requires_grad_()
    out, expected = ours(mine), formula(exact)
    upstream = _made(tuple(out.shape), maps.device.type, maps.dtype)
    (gradient,) = torch.autograd.grad(out, mine, upstream)
    (wanted,) = torch.autograd.grad(expected, exact, upstream.cpu().double())
    kind, limit = _name(maps.dtype), ROUNDED[maps.dtype]
    yield Comparison(f"{name}, {kind}, forward", "formula in float64", apart(out.detach(), expected.detach()), limit)
    yield Comparison(f"{name}, {kind}, backward", "formula in float64", apart(gradient, wanted), limit)


# ---- Networks --------------------------------------------------------------------------------------------------------------


def _gradients(machine: Machine, name: str, recipe: Recipe) -> Rows:
    """Compare the gradients of all weights, in float32 and in bf16, for a batch of 16 with dropout's own draws."""
    exact = functools.cache(lambda batch: _gradients_of(recipe, "cpu", "fp64", batch))

    def furthest(device: str, precision: str, batch: int = 1) -> float:
        """Return the largest difference, relative to each parameter's own largest value, so that no parameter hides another."""
        return max(map(apart, _gradients_of(recipe, device, precision, batch), exact(batch)))

    limit, nearest = FP32_LIMIT[machine.device], math.inf
    for batch in range(1, BATCHES + 1):
        if nearest > limit:
            nearest = min(nearest, furthest(machine.device, "fp32", batch))
    yield Comparison(f"gradients of {name}, float32", "float64 on a CPU", nearest, limit)
    if machine.precision == "bf16":
        limit = BF16_TIMES * furthest("cpu", "bf16")
        yield Comparison(f"gradients of {name}, bf16", "float64; twice a CPU's bf16", furthest(machine.device, "bf16"), limit)


def _gradients_of(recipe: Recipe, device: str, precision: str, batch: int) -> list[Tensor]:
    kind = torch.float64 if precision == "fp64" else torch.float32
    network = AlexNet(recipe, 0).to(device, kind).to(memory_format=torch.channels_last)
    network.draw_on_device(0, torch.tensor(3, device=device))
    side = recipe.model.image_size
    images = torch.randn((16, 3, side, side), generator=torch.Generator().manual_seed(batch)) * 60
    labels = torch.arange(16, device=device) % recipe.model.classes
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        logits = network(images.to(device, kind, memory_format=torch.channels_last))
    F.cross_entropy(logits.to(kind), labels).backward()
    return [p.grad.double().cpu() for p in network.parameters() if p.grad is not None]


# ---- Runs ------------------------------------------------------------------------------------------------------------------


def _runs(machine: Machine) -> Rows:
    """Compare a dozen steps of four small runs together (on a GPU in a graph) with each run alone, step by step."""
    diff = {"optim.epochs": 1, "optim.batch_size": 16, "optim.stop_at_train_error": 0.0, "data.train_images": 0}
    recipes = [changed(BASES[name], diff) for name in ("A", "B")]
    runs = [(recipe, seed) for recipe in recipes for seed in (0, 1)]
    limit = 1e-4 if machine.precision == "fp32" else 1e-2
    alone = [to_its_end(_run(*run, machine), one_by_one) for run in runs]
    begin = [functools.partial(_run, *run, machine) for run in runs]
    among = dict(side_by_side(begin, len(runs), rounds_on(machine.device)))
    for ended in among.values():
        if isinstance(ended, Exception):
            raise ended
    furthest = max(apart(among[place], one) for place, one in enumerate(alone))
    way = "in one graph" if machine.device == "cuda" else "one after another"
    yield Comparison(f"weights of runs among four, {way}", "each alone, step by step", furthest, limit)


def _run(recipe: Recipe, seed: int, machine: Machine):
    side, count = recipe.model.image_size, 16 * STEPS
    pixels = torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    images = ImageSet("made up", pixels, torch.arange(count) % recipe.model.classes, pixels[:0], torch.arange(0), "made up")
    training = Training(recipe, seed, machine, images)
    yield from training.steps()
    return torch.cat([p.detach().reshape(-1).cpu() for p in training.network.parameters()])


# ---- Once a machine ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckReport:
    """What was checked on which machine, part by part, and the parts that were not reached in time. Results name the report by
    its digest."""

    machine: Mapping[str, str]
    parts: Mapping[str, tuple[Comparison, ...]]
    not_reached: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Comparison]:
        return [row for part in self.parts.values() for row in part]

    @property
    def wrong(self) -> list[str]:
        return [row.what for row in self.rows if not row.passed]

    @property
    def passed(self) -> bool:
        return bool(self.parts) and not self.wrong and not self.not_reached

    def to_json(self) -> dict:
        rows = [{"part": name, **asdict(row), "passed": row.passed} for name, part in self.parts.items() for row in part]
        return {"machine": dict(self.machine), "passed": self.passed, "not_reached": list(self.not_reached), "rows": rows}

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]


def identity(machine: Machine) -> dict[str, str]:
    """Return what a check is valid for: another driver, torch, Triton or code needs another check."""
    sources = sorted(Path(cuda_graph.__file__).parents[1].rglob("*.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    facts = {"machine": machine.label, "torch": torch.__version__, "numerics": str(NUMERICS), "code": code}
    if machine.device == "cuda":
        found = card()
        facts |= {"driver": found.driver, "cudnn": found.cudnn, "kernels": gpu.in_words()}
    return facts


def run_checks(
    machine: Machine,
    say: Callable[[Comparison], None],
    seconds: float = math.inf,
    done: Mapping[str, tuple[Comparison, ...]] | None = None,
) -> CheckReport:
    """Check every part that is not `done`, pass each comparison to `say`, and save the report for this machine after each part.

    When `seconds` are over, the current part and those after it are not reached. The time is checked between comparisons; if
    one hangs, the caller must end it.
    """
    until, found = time.monotonic() + seconds, dict(done or {})
    todo = {name: part for name, part in parts(machine).items() if name not in found}
    report = CheckReport(identity(machine), found, tuple(todo))
    with replace(machine, ranks=1).torch_settings():
        for name, part in todo.items():
            rows, comparisons = [], part()
            while in_time := time.monotonic() < until:
                if (row := next(comparisons, None)) is None:
                    break
                say(row)
                rows.append(row)
            if not in_time:
                break
            found[name] = tuple(rows)
            report = replace(report, parts=dict(found), not_reached=report.not_reached[1:])
            _keep(machine, report)
    return report


def _keep(machine: Machine, report: CheckReport) -> None:
    write_atomically(_file(machine), json.dumps(report.to_json(), indent=1).encode())


def kept(machine: Machine) -> CheckReport | None:
    """Return the saved report of this machine in its present state, complete or not; None if there is none or it is damaged."""
    try:
        facts, found = json.loads(_file(machine).read_text()), {}
        for row in facts["rows"]:
            checked = Comparison(row["what"], row["against"], row["apart"], row["limit"])
            found[row["part"]] = (*found.get(row["part"], ()), checked)
        return CheckReport(facts["machine"], found, tuple(facts["not_reached"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(machine: Machine) -> Path:
    name = hashlib.sha256(json.dumps(identity(machine), sort_keys=True).encode()).hexdigest()[:16]
    return own_folder() / f"self-check-{name}.json"


def before_evidence(machine: Machine, say: Callable[[str], None]) -> None:
    """Check a GPU once, before runs are trained on it. Parts that `gpu-check` did not reach are checked now, without a time
    limit. Raises Refused if a check fails."""
    if machine.device != "cuda":
        return
    report = kept(machine)
    if not _is_checked(report):
        with locked(_file(machine).with_suffix(".lock")):  # of processes that begin together only one checks
            report = kept(machine)
            if not _is_checked(report):
                say("checking this GPU once, which takes half a minute to two minutes (`gpu-check` shows the table)")
                done = report.parts if report else {}
                report = run_checks(machine, lambda row: None if row.passed else say(in_words(row)), done=done)
    assert report
    if report.wrong:
        raise Refused(
            f"device: 'cuda' fails {len(report.wrong)} of {len(report.rows)} checks ({', '.join(report.wrong[:3])}); "
            "`python -m study gpu-check` shows them all; DEVICE=cpu trains on the processor"
        )


def _is_checked(report: CheckReport | None) -> bool:
    """Return whether nothing is left to check: the report is complete, or a check has failed."""
    return report is not None and (bool(report.wrong) or not report.not_reached)


def in_words(row: Comparison) -> str:
    """Return a comparison as a line of the table."""
    mark = "ok  " if row.passed else "FAIL"
    return f"{mark} {row.what:<50} {row.apart:8.1e} apart, at most {row.limit:.1e} (against {row.against})"
