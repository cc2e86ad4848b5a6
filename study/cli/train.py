"""`train`: trains one recipe with any fields changed, in this process: your own question."""

import argparse
import signal
from pathlib import Path

from alexnet.recipe import changed
from alexnet.training.history import Point
from study.cli.arguments import (
    Verbs,
    add_verb,
    images_option,
    json_option,
    machine_of_one_run,
    one_run_options,
    whole_number,
    writable,
)
from study.cli.console import Console, print_json
from study.cli.images import load_images
from study.cli.planning import check_ranks
from study.cli.recipes import named_recipe, read_settings
from study.cli.training import look_at_mlflow
from study.environment import data_dir, spool_dir
from study.plan.plan import PlannedRun
from study.questions.claim import OWN_QUESTION
from study.questions.scales import scale_named
from study.run.one_run import Place, run_planned
from study.run.result import SEEDS_BELOW, RunResult, to_json
from study.run.run_folder import is_done
from study.run.stop import STOP


def add_to(verbs: Verbs) -> None:
    text = "train one recipe with any of its fields changed: your own question"
    parser = add_verb(verbs, "train", train, text, images_option(), one_run_options(), json_option())
    parser.add_argument("recipe", help="as for describe: PAPER, SOURCE_2012, ..., or CLAIM/BASE, or CLAIM/BASE/ARM")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field, as in model.activation=tanh; may be given several times",
    )
    seed = whole_number("--seed", 0, SEEDS_BELOW - 1)
    parser.add_argument("--seed", type=seed, default=0, help="seed of every random draw; default: 0")


def train(args: argparse.Namespace) -> int:
    """Train one run. The result goes to its run folder and to MLflow, not to the tables of the claims."""
    from alexnet.machine import memory_bytes
    from alexnet.training.fits import check_fits

    console = Console(to_stderr=args.json)
    recipe, own = named_recipe(args.recipe), getattr(args, "own", {})
    for scale, words in own.items():
        recipe = changed(recipe, scale_named(scale).on(recipe))
        console.say(f"{scale_named(scale).about}; {words}")
    recipe = read_settings(recipe, args.set)
    machine = machine_of_one_run(args.device, args.precision)
    images = load_images(recipe.data.name)
    fingerprint = images.fingerprint
    arm = " ".join(args.set) or "as it is"
    planned = PlannedRun(OWN_QUESTION, recipe.data.name, args.recipe, arm, args.seed, recipe, fingerprint)
    check_ranks([planned])
    check_fits(recipe, images, memory_bytes(machine.device))
    look_at_mlflow(Console(to_stderr=True))
    place = Place(machine, data_dir(), writable(spool_dir(), "SPOOL_DIR"))  # nothing is written before this line
    console.say(
        f"{args.recipe}, {arm}, seed {args.seed} on {recipe.data.name} ({fingerprint}); {machine.label}; key {planned.key}"
    )
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    if is_done(place.spool_dir / planned.key):
        console.say("done already; its epochs were:")
    result = run_planned(planned, place, lambda point: console.say(_point_words(point, recipe.optim.epochs)))
    from study.tracking.keeper import into_mlflow  # loads pandas, for which a refused command should not wait

    if fault := into_mlflow([result], place.spool_dir, 1):
        console.say(fault)
    console.say(_result_words(result, place.spool_dir / planned.key))
    if args.json:
        print_json(to_json(result))
    return 0


def _result_words(result: RunResult, folder: Path) -> str:
    """Return how the run ended, its errors, and where it is."""
    from alexnet.training.checkpoint import WEIGHTS

    train, test, views = result.points[-1].train_error, result.test_error, result.test_error_ten_views
    errors = [f"training error {train:.1%}"] if train is not None else []
    errors += [f"test error {test:.1%}{f' (ten views {views:.1%})' if views is not None else ''}"] if test is not None else []
    what = "network and result" if (folder / WEIGHTS).exists() else "result"
    return f"{': '.join(filter(None, (result.outcome, ', '.join(errors))))}; {what} in {folder}"


def _point_words(point: Point, epochs: int) -> str:
    left = point.seconds / point.epoch * (epochs - point.epoch)
    measured = {"train": point.train_error, "validation": point.validation_error}
    exact = "".join(f", {name} error {error:.1%}" for name, error in measured.items() if error is not None)
    return (
        f"epoch {point.epoch} of {epochs}: loss {point.running_loss:.4f}, error {point.running_error:.1%}{exact}; "
        f"at most {left / 60:.0f} min left"
    )
