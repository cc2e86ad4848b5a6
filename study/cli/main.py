"""`python -m study VERB`: the whole command line. The Makefile only calls it.

Exit codes: 0 done, 1 some runs were lost, 2 something was asked for wrongly (one line says what),
75 asked to stop (SIGTERM) and to be called again, 130 interrupted.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from alexnet.errors import Refused, choose
from alexnet.training.checkpoint import STOP, Interrupted
from study.cli import quick
from study.plan.claim_files import all_claims, get_claim, get_scale
from study.plan.plan import make_plan, pick_arms, pick_bases, results_dir, seed_count
from study.plan.tuned import Tuned
from study.questions.claim import Claim
from study.questions.scales import FALLBACK, FALLBACK_ON_GPU, SCALES
from study.run.database import in_a_line, redacted
from study.run.executors.base import launched_ranks
from study.run.executors.local import LATER
from study.run.lease import LeaseLost
from study.run.one_run import NO_TELEMETRY, start_again_with_allocator
from study.run.run_folder import AGAIN, Results, finished, is_done, set_aside, spool_dir, state_of, state_of_run

EXAMPLES = """examples:
  python -m study list                                what can be asked
  python -m study plan all --scale shapes             runs and cost, before anything starts
  python -m study run relu_sooner --seeds 5           the experiment; the same command goes on where it was stopped
  python -m study run relu_sooner --base 'B-*'        another network
  python -m study describe relu_sooner/A-2012         a recipe's settings and layers
  python -m study data pack imagenet --from DIR       ILSVRC, decoded once
  python -m study report                              figures and pages from the committed tables
environment: SCALE, SEEDS, DEVICE, PRECISION, JOBS, EXECUTOR and DATA_DIR stand in for the options; RESULTS_DIR (results), SPOOL_DIR (spool),
DAMAGED (refuse, or skip damaged image files), MLFLOW_TRACKING_URI (sqlite:///mlflow.db), OPTUNA_STORAGE (none: a search lives in the spool alone)"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise Refused(f"{self.prog}: {message}")


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="python -m study",
        description=__doc__.split("\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)

    def verb(
        name: str, function, text: str, claim: bool = False, cells: bool = False, machine: bool = False, as_json: bool = False
    ):
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if claim:
            sub.add_argument("claims", nargs="+", metavar="CLAIM", help="claims of `list`, or all")
        if cells:
            sub.add_argument(
                "--scale",
                default=os.environ.get("SCALE") or None,
                help=f"one of {', '.join(SCALES)}; default: the first data set there is of {', '.join(FALLBACK)}",
            )
            sub.add_argument(
                "--base",
                default=os.environ.get("BASE") or "",
                help="bases of the claim, comma-separated, patterns allowed; default: the claim's",
            )
            sub.add_argument(
                "--arms", default=os.environ.get("ARMS") or "", help="arms, comma-separated, or all; default: the claim's"
            )
        if machine:
            sub.add_argument("--device", default=os.environ.get("DEVICE") or "auto", help="auto, cpu or cuda")
            sub.add_argument("--precision", default=os.environ.get("PRECISION") or "auto", help="auto, bf16 or fp32")
            sub.add_argument(
                "--jobs",
                default=os.environ.get("JOBS") or "0",
                help="runs at a time; default: one a core on CPU, on a GPU as many as are measured to pay",
            )
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    def seeds(sub):
        sub.add_argument("--seeds", default=os.environ.get("SEEDS") or None, help="how many, from 0 on; default: the claim's")
        return sub

    def executor_option(sub) -> argparse.ArgumentParser:
        choices = "local, ray (cluster of RAY_ADDRESS) or slurm"
        sub.add_argument("--executor", default=os.environ.get("EXECUTOR") or "local", help=choices)
        return sub

    quick.add_to(verbs)
    verb("list", list_claims, "the claims, their bases, arms, scales and commands", as_json=True)
    seeds(verb("plan", show_plan, "runs and cost of a claim, before anything starts", True, True, True, True))
    seeds(executor_option(verb("run", run, "train what is missing, record it, and show the verdict", True, True, True, True)))
    sub = verb(
        "retry",
        retry,
        "train again those runs of a claim that were begun and did not end well, and no others",
        True,
        True,
        True,
        True,
    )
    seeds(executor_option(sub))
    sub.add_argument("--outcome", default="", help=f"comma-separated, of: {', '.join(AGAIN)}; default: all of them")
    verb(
        "search",
        search,
        "find the learning rates of a claim's arms anew and write them to results/tuned.json",
        True,
        True,
        True,
    )
    sub = verb(
        "record", record, "put the finished runs of a spool, made here or on another machine, into MLflow and the tables"
    )
    sub.add_argument("spool", type=Path, nargs="?", default=None, help="the spool folder; default: SPOOL_DIR or spool")
    verb("table", export_table, "write what MLflow holds into results/runs.csv and curves.csv")
    verb("report", report, "draw the figures and write REPORT.md and report.html from the tables; needs no torch and no mlflow")
    sub = verb("describe", describe, "a recipe's settings and layers, or the differences of two", as_json=True)
    sub.add_argument("recipe", nargs="+", help="PAPER, SOURCE_2012, ..., or claim/base, or claim/base/arm; two to compare")
    sub.add_argument("--figure", type=Path, help="draw the architecture in the manner of the paper's figure 2 into this file")
    sub = verb("train", train, "train one recipe with any fields changed: your own question", machine=True, as_json=True)
    sub.add_argument("recipe", help="as for describe")
    sub.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="such as model.activation=tanh; as often as wanted"
    )
    sub.add_argument("--seed", default="0", help="of every draw; default: 0")
    sub = verb("columns", columns, "bytes exchanged and time of a step for the two-GPU layouts", as_json=True)
    sub.add_argument("recipe", nargs="?", default="SOURCE_2012", help="of two columns; default: SOURCE_2012")
    sub.add_argument("--batch", default="16", help="images a step; default: 16")
    sub.add_argument("--steps", default="3", help="timed steps, after one that is not; default: 3")
    sub = verb(
        "data", data, "pack an image set once, on all cores; killed, the same command goes on; again, it checks every image"
    )
    sub.add_argument("action", metavar="pack", help="pack: decode, check and keep under DATA_DIR")
    sub.add_argument("name", help="imagenet, or another set of images")
    sub.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="folder with train/CLASS/FILE and val (or test); default: DATA_DIR/NAME",
    )
    verb("status", status, "what is done, begun and recorded, and on what machine", as_json=True)
    return top


def list_claims(args) -> None:
    from study.report import phrases

    claims = all_claims()
    if args.json:
        facts = {
            n: {
                "title": c.title,
                "command": c.command,
                "reported": asdict(c.reported),
                "bases": list(c.bases),
                "arms": [a.label for a in c.arms],
                "scales": dict(c.scales),
            }
            for n, c in claims.items()
        }
        print(json.dumps(facts, indent=1))
        return
    for name, claim in claims.items():
        print(f"{name}: {claim.title}")
        print(f"  reported  {claim.reported.what}: {phrases.reported_words(claim)} ({claim.reported.where})")
        print(f"  command   {claim.command}")
        for word, items, default in (
            ("bases", claim.bases, claim.default_bases),
            ("arms", [a.label for a in claim.arms], claim.default_arms),
        ):
            print(f"  {word:<9} {', '.join(f'{item} (default)' if item in default else item for item in items)}")
        print(f"  scales    {', '.join(f'{scale} ({role})' for scale, role in claim.scales.items())}")


@dataclass(frozen=True)
class Asked:
    """One claim, and at which scale it is asked, and why there."""

    name: str
    claim: Claim
    scale: str
    why: str


def _asked(args, on_gpu: bool = False) -> list[Asked]:
    """The claims that the arguments name, each at its scale; nothing is written. Asking for all leaves out what has no such scale."""
    from alexnet.data.image_sets import available, data_dir

    everything = args.claims == ["all"]
    names = list(all_claims()) if everything else list(dict.fromkeys(args.claims))
    wanted = args.scale.lower().replace("_", "-") if args.scale else None
    asked = []
    for name in names:
        claim = get_claim(name)
        pick_arms(claim, _split(args.arms))
        if wanted:
            if everything and wanted not in claim.scales:
                continue
            pick_bases(claim, get_scale(claim, wanted), _split(args.base))
            asked.append(Asked(name, claim, wanted, "as asked"))
            continue
        reasons = []
        for scale in FALLBACK_ON_GPU if on_gpu else FALLBACK:
            if scale not in claim.scales:
                continue
            pick_bases(claim, get_scale(claim, scale), _split(args.base))
            why_not = available(scale, data_dir())
            if not why_not:
                asked.append(Asked(name, claim, scale, "; ".join([*reasons, f"{scale} is there"])))
                break
            reasons.append(why_not)
    if not asked:
        raise Refused(f"SCALE: no claim has {wanted!r}")
    return asked


def _machine(args):
    from alexnet.machine import detect

    ranks = launched_ranks()
    machine = detect(args.device, args.precision, 1 if ranks > 1 else _whole("JOBS", args.jobs))
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return replace(machine, ranks=ranks, threads=max(1, machine.threads // here))


def _check_ranks(cells) -> None:
    if launched_ranks() > 1:
        from alexnet.training.data_parallel import asked

        for cell in cells:
            asked().check(cell.recipe)


def _plans(args):
    """The plan of each claim that the arguments ask for, and the place: loads each data set once, for its fingerprint."""
    from alexnet.data.image_sets import data_dir
    from study.run.one_run import Place
    from study.run.queue import in_order

    seeds, machine, tuned = seed_count(args.seeds), _machine(args), Tuned.read(results_dir())
    asked = _asked(args, machine.device == "cuda")
    options = dict(bases=_split(args.base), arms=_split(args.arms), seeds=seeds)
    if machine.device == "cuda" and not options["arms"]:
        options["arms"] = ["all"]  # a GPU has time for all of them
    for one in asked:  # refuses what is wrong before data are loaded
        _check_ranks(make_plan(one.name, one.scale, "", tuned, **options))
    names = {one.scale: SCALES[one.scale].diff["data.name"] for one in asked}
    fingerprints = {scale: _load(name, data_dir()).fingerprint for scale, name in names.items()}
    plans = []
    for one in asked:
        cells = make_plan(one.name, one.scale, fingerprints[one.scale], tuned, **options)
        plans.append((one, in_order(cells, [tuned.expected_epochs(cell) for cell in cells])))
    in_one_process = machine.device == "cuda" and machine.ranks == 1 and getattr(args, "executor", "local") == "local"
    if in_one_process and _whole("JOBS", args.jobs) == 0:
        machine = replace(machine, jobs=_measured_jobs([cell for _, cells in plans for cell in cells], machine))
    return plans, Place(machine, data_dir(), spool_dir())


def _measured_jobs(cells, machine) -> int:
    """How many runs of these a GPU takes at a time."""
    from study.plan.cost import runs_at_once

    largest = max((cell.recipe for cell in cells), key=lambda recipe: recipe.model.image_size)
    return runs_at_once(largest, machine, len({cell.key for cell in cells}))


def _load(name: str, folder: Path):
    """The image set, with a line now and then while many files are decoded for the first time."""
    from alexnet.data.image_sets import damaged_choice, load

    return load(name, folder, damaged_choice(), _packing(name))


def _packing(name: str):
    """Tells of the progress of packing, every ten seconds."""
    began = said = time.monotonic()

    def observe(done: int, total: int) -> None:
        nonlocal began, said
        now = time.monotonic()
        if not done:
            began = now
        if done and now - said > 10:
            said = now
            pace = done / (now - began)
            left = (total - done) / pace
            text = f"packing {name}: {done:,} of {total:,} images, {pace:,.0f} a second, about {left / 60:.1f} min left"
            print(text, file=sys.stderr, flush=True)

    return observe


def data(args) -> None:
    """What is packed and whole stays; so the same command goes on where it was stopped, and checks what is there."""
    from alexnet.data.image_sets import damaged_choice, data_dir, pack

    choose("data", args.action, ("pack",))
    if args.source and not args.source.is_dir():
        raise Refused(f"--from: no folder {args.source}")
    started = time.monotonic()
    images = pack(args.name, data_dir(), args.source, damaged_choice(), _packing(args.name))
    counts = f"{len(images.train_labels):,} training and {len(images.test_labels):,} test images"
    _say(
        f"{args.name}: {counts} packed and checked in {images.cache}, fingerprint {images.fingerprint} ({time.monotonic() - started:.0f} s)"
    )


def _headline(one: Asked, machine, fingerprint: str) -> str:
    return (
        f"Scale {one.scale}: {SCALES[one.scale].about} (fingerprint {fingerprint}). Chosen: {one.why}.\n"
        f"Machine: {machine.label}; {machine.jobs} runs at a time with {machine.threads} threads each."
    )


def show_plan(args) -> None:
    from study.plan.cost import Pace
    from study.run.queue import cheapest_first

    plans, place = _plans(args)
    pace = Pace(place.machine, results_dir())
    done = {cell.key for _, cells in plans for cell in cells if is_done(place.spool_dir / cell.key)}

    def cost(cells):
        return pace.cost([c for c in cells if c.key not in done])

    union = cheapest_first([cells for _, cells in plans], lambda cells: cost(cells).seconds)
    total = cost(union)
    if args.json:
        rows = [
            {**cell.asked, "seed": cell.seed, "key": cell.key, "done": cell.key in done} for _, cells in plans for cell in cells
        ]
        print(json.dumps({"runs": rows, "expected_seconds": total.seconds, "pace_from": total.source}, indent=1))
        return
    tuned = Tuned.read(results_dir())
    for one, cells in plans:
        print(f"{one.name}: {one.claim.title}  ({one.claim.command})")
        print("  " + _headline(one, place.machine, cells[0].fingerprint).replace("\n", "\n  "))
        for base in dict.fromkeys(cell.base for cell in cells):
            for arm in dict.fromkeys(cell.arm for cell in cells if cell.base == base):
                those = [cell for cell in cells if (cell.base, cell.arm) == (base, arm)]
                entry = tuned.find(one.name, base, arm, one.scale) if one.claim.tune else None
                rate = f"tuned on {entry['tuned_on']}" if entry else "the base's own"
                print(
                    f"  {base:<22} {arm:<14} {len(those)} seeds, {sum(c.key in done for c in those)} done, "
                    f"learning rate {those[0].recipe.optim.learning_rate:g} ({rate})"
                )
        print("  " + cost(cells).words)
    if len(plans) > 1:
        print(f"All together, each run once: {total.words}")


def run(args) -> int:
    from study.plan.cost import Pace
    from study.report.phrases import reported_words
    from study.run.executors.base import executor
    from study.run.queue import cheapest_first, writable

    executor(args.executor)  # refused, where it is, before anything is written
    plans, place = _plans(args)
    results = writable(results_dir(), "RESULTS_DIR")
    writable(place.spool_dir, "SPOOL_DIR")
    say = _say_aside if args.json else _say
    for one, cells in plans:
        say(f"{one.claim.title} (paper: {reported_words(one.claim)}, {one.claim.reported.where})")
        if len(plans) == 1:
            say(_headline(one, place.machine, cells[0].fingerprint))

    pace = Pace(place.machine, results)
    missing = {cell.key for _, cells in plans for cell in cells if not is_done(place.spool_dir / cell.key)}
    union = cheapest_first(
        [cells for _, cells in plans], lambda cells: pace.cost([cell for cell in cells if cell.key in missing]).seconds
    )
    return _train(args, plans, union, place, results, say)


def retry(args) -> int:
    from study.run.executors.base import executor
    from study.run.queue import writable

    executor(args.executor)
    outcomes = [choose("--outcome", one.strip(), AGAIN) for one in args.outcome.split(",") if one.strip()] or AGAIN
    plans, place = _plans(args)
    results = writable(results_dir(), "RESULTS_DIR")
    say = _say_aside if args.json else _say
    again = {}
    for cell in (cell for _, cells in plans for cell in cells):
        folder = place.spool_dir / cell.key
        if folder.is_dir() and (how := state_of_run(folder))[0] in outcomes:
            say(f"again: {cell.label}, {how[0]}{f' ({how[1]})' if how[1] else ''}")
            again[cell.key] = cell
    if not again:
        say(f"no run of these is {' or '.join(outcomes)}")
        return 0
    for key in again:
        if is_done(place.spool_dir / key):
            set_aside(place.spool_dir / key)
    return _train(args, plans, list(again.values()), place, results, say)


def _train(args, plans, union, place, results: Path, say) -> int:
    """Train what is missing of `union`, then tell what `plans` have come to."""
    from study.plan.cost import Pace
    from study.record.keeper import keep
    from study.run.executors.base import executor
    from study.run.queue import work_off

    signal.signal(signal.SIGTERM, _leave)
    say(Pace(place.machine, results).cost([c for c in union if not is_done(place.spool_dir / c.key)]).words)
    lost = work_off(union, place, results, say, executor(args.executor))
    asked = [cell for _, cells in plans for cell in cells]  # a run that several claims share is shown under each of them
    keep(Results(place.spool_dir, asked), place, results, say)
    _derive(asked, place, results, say)
    _conclude(args, plans, place, results, say)
    for reason in lost:
        say(f"lost: {reason}")
    if lost:
        say("the same command tries the lost runs again")
    return 1 if lost else 0


def _leave(*_) -> None:
    """On SIGTERM: workers keep a checkpoint each and end; the same command goes on. A rank of torchrun trains by itself."""
    if launched_ranks() > 1:
        STOP.set()
    else:
        raise SystemExit(LATER)


def _derive(cells, place, results: Path, say) -> None:
    from study.record.trained_weights import asks_weights, derive

    if any(asks_weights(cell) for cell in cells):
        derive(cells, place, results, say)


def _conclude(args, plans, place, results: Path, say) -> None:
    """Report, verdicts in the terminal, summaries in MLflow."""
    from study.cli.text_tables import as_json, verdict_table
    from study.judge.evidence import find
    from study.report.pages import write_report

    written, found, told = write_report(results), find(results).found, []
    for asked, cells in plans:
        bases = {cell.base for cell in cells}
        mine = [
            one
            for one in found
            if (one.claim_name, one.scale, one.fingerprint) == (asked.name, asked.scale, cells[0].fingerprint)
            and one.machine == place.machine.label
            and one.base in bases
        ]
        told += mine
        if len(plans) > 1:
            say(f"\n{asked.claim.title}")
        say(verdict_table(mine))
        pictures = [path for path in written if path.name.startswith(f"{asked.name}-{asked.scale}-")]
        say("\n".join(f"wrote {path}" for path in pictures))
        try:
            from study.record.mlflow_store import Store

            Store().summarize(
                asked.name,
                asked.scale,
                {one.base: verdict_table([one]) for one in mine},
                [*pictures, results / "REPORT.md"],
                place.spool_dir,
                {one.base: one.word for one in mine},
            )
        except Exception as error:
            say(f"the summary is not in MLflow ({type(error).__name__}); the next call puts it there")
    say("\n".join(f"wrote {path}" for path in written if path.parent == results))
    if args.json:
        print(json.dumps([as_json(one) for one in told], indent=1))


def search(args) -> int:
    from alexnet.data.image_sets import data_dir
    from study.run.one_run import Place
    from study.run.queue import writable
    from study.run.search import LOCK, open_storage, search_all

    if os.environ.get("OPTUNA_STORAGE"):
        open_storage(writable(spool_dir(), "SPOOL_DIR") / LOCK)  # refused, where it is, before data are loaded
    signal.signal(signal.SIGTERM, _leave)
    machine = _machine(args)
    if args.claims == ["all"]:
        args.claims = [name for name, claim in all_claims().items() if claim.tune]
    lost = 0
    for one in _asked(args):
        if not one.claim.tune:
            raise Refused(f"claim: {one.name!r} tunes nothing; its arms share their base's learning rate")
        fingerprint = _load(SCALES[one.scale].diff["data.name"], data_dir()).fingerprint
        results = writable(results_dir(), "RESULTS_DIR")
        place = Place(machine, data_dir(), writable(spool_dir(), "SPOOL_DIR"))
        _say(_headline(one, machine, fingerprint))
        bases = pick_bases(one.claim, get_scale(one.claim, one.scale), _split(args.base))
        lost |= search_all(
            one.name, one.scale, bases, pick_arms(one.claim, _split(args.arms)), fingerprint, place, results, _say
        )
    return lost


def record(args) -> None:
    from study.record.mlflow_store import Store
    from study.run.queue import writable

    spool = args.spool or spool_dir()
    if not spool.is_dir():
        raise Refused(f"spool: no folder {spool}")
    results = list(finished(spool))
    folder = writable(results_dir(), "RESULTS_DIR")
    with _mlflow_answers():
        new = Store().record(results, spool)
    from study.record import tables

    count = tables.merge(folder, results)
    _say(f"{len(results)} finished runs in {spool}: {new} new in MLflow, {count} of claims in {folder / 'runs.csv'}")


def export_table(args) -> None:
    from study.record import tables
    from study.record.mlflow_store import Store, tracking_uri
    from study.run.queue import writable

    folder = writable(results_dir(), "RESULTS_DIR")
    with _mlflow_answers():
        count = tables.merge(folder, Store().results())
    _say(f"{count} runs of {tracking_uri()} are in {folder / 'runs.csv'}")


@contextlib.contextmanager
def _mlflow_answers():
    """Raises Refused in a line where MLFLOW_TRACKING_URI does not answer, or says no."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    from study.record.mlflow_store import tracking_uri

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        raise Refused(f"MLFLOW_TRACKING_URI: {tracking_uri()} ({in_a_line(error)}); nothing is lost, call again") from None


def report(args) -> None:
    from study.report.pages import write_report
    from study.run.queue import writable

    for path in write_report(writable(results_dir(), "RESULTS_DIR")):
        print(path)


def describe(args) -> None:
    from alexnet.recipe import differences, settings
    from study.cli.text_tables import layer_lines, named_recipe

    if len(args.recipe) > 2:
        raise Refused(f"describe: one recipe, or two to compare, not {len(args.recipe)}")
    recipes = [named_recipe(name) for name in args.recipe]
    if len(recipes) == 2:
        diff = differences(recipes[1], recipes[0])
        print(
            json.dumps(diff, indent=1)
            if args.json
            else "\n".join(f"{k}: {old} -> {new}" for k, (old, new) in diff.items()) or "no difference"
        )
        return
    if args.json:
        print(json.dumps(settings(recipes[0]), indent=1))
        return
    if args.figure:
        from study.report.architecture import draw_architecture
        from study.run.queue import writable

        writable(args.figure.absolute().parent, "--figure")
        print(draw_architecture(recipes[0].model, args.recipe[0], args.figure))
        return
    print(
        "\n".join(f"{name} = {value}" for name, value in settings(recipes[0]).items() if not name.startswith("model.layers."))
    )
    print(layer_lines(recipes[0]))


def train(args) -> int:
    """One run, in this process; its result goes to the spool and to MLflow, not into the tables of the claims."""
    from alexnet.data.image_sets import data_dir
    from study.cli.progress import outcome_words
    from study.cli.text_tables import named_recipe, read_settings
    from study.plan.plan import Cell
    from study.record.tables import OWN_QUESTION
    from study.run.one_run import Place, run_cell
    from study.run.queue import writable

    recipe = read_settings(named_recipe(args.recipe), args.set)
    seed, machine = _whole("--seed", args.seed), _machine(argparse.Namespace(**{**vars(args), "jobs": "1"}))
    fingerprint = _load(recipe.data.name, data_dir()).fingerprint
    place = Place(machine, data_dir(), writable(spool_dir(), "SPOOL_DIR"))
    arm = " ".join(args.set) or "as it is"
    cell = Cell(OWN_QUESTION, recipe.data.name, args.recipe, arm, seed, recipe, fingerprint)
    say = _say_aside if args.json else _say
    _check_ranks([cell])
    say(f"{args.recipe}, {arm}, seed {seed} on {recipe.data.name} ({fingerprint}); {machine.label}; key {cell.key}")

    def observe(point: dict) -> None:
        left = point["seconds"] / point["epoch"] * (recipe.optim.epochs - point["epoch"])
        exact = "".join(
            f", {k.split('_')[0]} error {point[k]:.1%}" for k in ("train_error", "validation_error") if point[k] is not None
        )
        say(
            f"epoch {point['epoch']} of {recipe.optim.epochs}: loss {point['running_loss']:.4f}, error {point['running_error']:.1%}{exact}; "
            f"at most {left / 60:.0f} min left"
        )

    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    result = run_cell(cell, place, observe)
    say(outcome_words(result))
    try:
        from study.record.mlflow_store import Store

        Store().record([result], place.spool_dir)
    except Exception as error:
        say(f"not in MLflow ({type(error).__name__}); `python -m study record` brings it there")
    if args.json:
        print(json.dumps(result, indent=1))
    return 0


def columns(args) -> int:
    from benchmarks.layouts import measure_layouts
    from study.cli.text_tables import named_recipe

    model, batch, steps = named_recipe(args.recipe).model, _whole("--batch", args.batch), _whole("--steps", args.steps)
    if min(batch, steps) < 1:
        raise Refused(f"--{'batch' if batch < 1 else 'steps'}: {min(batch, steps)} is less than 1")
    rows = measure_layouts(args.recipe, model, batch, steps)
    if rows is None:  # the second rank of torchrun
        return 0
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{args.recipe}, batch {batch}, float32, median of {steps} steps (forward, backward, update) with their range")
    for row in rows:
        print(
            f"  {row['layout']:<34} {row['seconds']:7.2f} s [{row['fastest']:.2f}, {row['slowest']:.2f}]"
            f"  {row['bytes_exchanged'] / 2**20:8.2f} MiB exchanged a step  on {row['machine']}"
        )
    return 0


def status(args) -> None:
    from study.run.one_run import ALLOCATOR, software

    machine = _machine(
        argparse.Namespace(
            device=os.environ.get("DEVICE") or "auto",
            precision=os.environ.get("PRECISION") or "auto",
            jobs=os.environ.get("JOBS") or "0",
        )
    )
    states = state_of(spool_dir())
    if args.json:
        print(
            json.dumps(
                {"machine": {**asdict(machine), "label": machine.label}, "runs": states, "allocator": ALLOCATOR}, indent=1
            )
        )
        return
    print(f"machine   {machine.label}; {machine.jobs} runs at a time, {machine.threads} threads each")
    print(f"kernels   {software()['kernels']} (normalization, pools, 2012 update on a CPU: in C, or by torch in the same bits)")
    print(f"allocator {' '.join(f'{k}={v}' for k, v in ALLOCATOR.items())} (set for every worker)")
    print(f"spool     {spool_dir()}: {len(states)} runs")
    counts: dict[tuple, int] = {}
    whys: dict[tuple, str] = {}
    for state in states:
        place = (state["claim"], state["scale"], state["base"], state["arm"], state["state"])
        counts[place] = counts.get(place, 0) + 1
        if state["why"]:
            whys.setdefault(place, state["why"])
    for (claim, scale, base, arm, what), count in sorted(counts.items()):
        why = whys.get((claim, scale, base, arm, what))
        print(f"  {count:>3} {what:<13} {claim} {scale} {base} {arm}{f' ({why})' if why else ''}")


def _split(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]


def _whole(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused(f"{field}: {text!r} is not a whole number") from None


def _say(text: str) -> None:
    print(redacted(text), flush=True)


def _say_aside(text: str) -> None:
    print(redacted(text), file=sys.stderr, flush=True)


def _on_all_ranks(args) -> int:
    """Under torchrun: the command on rank 0; the others follow it."""
    if args.function is columns:  # has its own use for two ranks
        return columns(args) or 0
    if args.function not in (run, retry, train):
        raise Refused("torchrun: run, retry, train and columns work on several ranks, no other command")
    if int(os.environ["RANK"]):
        from study.run.executors.torchrun import follow

        return follow() or 0
    code = args.function(args) or 0
    from alexnet.training.data_parallel import join

    join().broadcast(None)
    return code


def main(arguments: list[str] | None = None) -> int:
    os.environ.update({**NO_TELEMETRY, **os.environ})
    args = argparse.Namespace(function=None)
    try:
        args = parser().parse_args(arguments)
        if arguments is None and (args.function in (train, columns) or launched_ranks() > 1):  # trains in this process
            start_again_with_allocator("study")
        return _on_all_ranks(args) if launched_ranks() > 1 else args.function(args) or 0
    except Refused as error:
        _say_aside(str(error))
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    except Interrupted as error:
        print(f"{error}; the same command goes on from here", file=sys.stderr)
        return LATER
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1 if args.function in (run, retry, search, train) else 0  # these were not done
    except LeaseLost as error:
        print(f"{error}; the same command goes on from here", file=sys.stderr)
        return LATER


if __name__ == "__main__":
    sys.exit(main())
