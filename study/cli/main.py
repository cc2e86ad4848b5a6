"""The command line, `alexnet-study VERB` or `python -m study VERB`: the parser of all verbs, and exit codes.

Exit codes: 0 done; 1 some runs were lost, or were skipped because of wrong files in their folders, or could not be recorded,
or, for `check` and `diff`, verdicts are not equal; 2 the command is wrong (one line says how); 75 asked to stop (SIGTERM), call
again; 130 interrupted.
"""

import argparse
import errno
import io
import os
import signal
import sys

from alexnet.errors import Refused
from alexnet.machine import launched
from alexnet.training.checkpoint import Interrupted
from study.cli import (
    data,
    describe,
    gpu_check,
    logits,
    merge,
    own_images,
    plan,
    quick,
    record,
    replicate,
    report,
    run,
    search,
    settle,
    status,
    train,
    verdicts,
)
from study.cli.arguments import Parser
from study.cli.console import Console, not_installed, program
from study.cli.refusals import as_typed
from study.cli.selection import means_all, named_claims
from study.environment import keep_apart, results_dir, share_with_group, spool_dir
from study.output import in_a_line
from study.run.lease import LeaseLost
from study.run.one_run import NO_TELEMETRY, start_again_with_allocator
from study.run.stop import EXIT_LATER

DESCRIPTION = """Tests the claims of the AlexNet paper (2012) again with several seeds, and shows whether they hold.

All folders are in the working folder, unless environment variables name others: results/ has the tables
and pages of results (RESULTS_DIR), spool/ the finished and unfinished runs (SPOOL_DIR), and data/ the
images (DATA_DIR). Results on synthetic images and on your own images go to my-results/."""

EXAMPLES = """examples:
  {prog} quick                               everything once, small, into ./quick
  {prog} list                                what can be asked
  {prog} plan all --scale shapes             the runs and their cost, before anything starts
  {prog} run relu_sooner --seeds 5           the experiment; stopped, the same command goes on
  {prog} run relu_sooner --base 'B-*'        the same on another network
  {prog} settle --hours 8                    all claims, until they are decided or the time is over
  {prog} replicate batch_norm --scale cifar10-jpeg   a finding once more, on fresh seeds
  {prog} describe relu_sooner/A-2012         a recipe's settings and layers
  {prog} data pack imagenet --from DIR       ILSVRC, decoded once
  {prog} data check DIR                      your own images, before anything is trained
  {prog} run response_norm --images DIR      a claim on your own images
  {prog} report                              figures, pages and verdicts.json from the tables
  {prog} check                               do the tables still say what verdicts.json says? For CI
  {prog} diff HEAD~1                         what changed in the verdicts since then

environment variables:
  SCALE, BASE, ARMS, SEEDS, DEVICE, PRECISION, JOBS, EXECUTOR   used where the option of this name is not given
  RESULTS_DIR, SPOOL_DIR, DATA_DIR   folders, see above
  IMAGES, IMAGES_NAME, SIDE, TEST_PERCENT, SPLITS   your own images: used where --images, --name and so on are not given
  DAMAGED                what to do with damaged image files: refuse (the default) or skip
  LINKS                  what to do with links that lead out of an image folder: refuse (the default) or follow
  CLAIMS_DIR             a folder with claims of your own
  MLFLOW_TRACKING_URI    where MLflow keeps runs; default: mlflow.db in the working folder
  OPTUNA_STORAGE         a second place for the trials of a search, besides the directory of runs; default: none"""

NOT_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO)
"""Errors of the disk and of file permissions."""
IN_THE_WAY = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP)
"""Errors of paths: something else is where a file or a folder should be, or the name is too long. What can be known beforehand
is refused before the work."""
EXTRAS = {"optuna": "search", "ray": "ray", "submitit": "slurm", "psycopg": "postgresql"}
"""Which of pyproject.toml's extras installs a package; all other packages come with `study`."""
# fmt: off
FAMILIES = (
    quick, plan, run, settle, replicate, search, record, report, verdicts, merge, describe, logits, train, data, status,
    gpu_check,
)
# fmt: on
"""Modules that add verbs to the parser."""
VERBS_THAT_TRAIN = ("quick", "replicate", "run", "search", "settle", "train")
FOLDERS = ("RESULTS_DIR", "SPOOL_DIR", "MLFLOW_TRACKING_URI")
"""Environment variables that a command may set for itself."""


def parser() -> Parser:
    prog = program()
    top = Parser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EXAMPLES.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for family in FAMILIES:
        family.add_to(verbs)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command of `arguments`, by default those of the process. Returns the exit code.

    Sets environment variables for libraries and leaves them set. Restores the SIGTERM handler and the variables of FOLDERS,
    which `quick` and --images change, for callers that go on (a notebook, a test).
    """
    before, folders = signal.getsignal(signal.SIGTERM), {name: os.environ.get(name) for name in FOLDERS}
    try:
        return _main(arguments)
    finally:
        for name, value in folders.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if before is not None and signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)


def _main(arguments: list[str] | None) -> int:
    os.environ.update({**NO_TELEMETRY, **os.environ})
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # for pandas' strings: Arrow's own pool keeps freed pages
    if arguments is None:
        _print_whatever_it_is()
    args = argparse.Namespace(verb=None)
    console = Console(to_stderr=True)
    try:
        args = parser().parse_args(arguments)
        if arguments is None and (args.verb == "train" or launched().count > 1):  # trains in this process
            start_again_with_allocator()
        if own_images.asks_apart(args):
            keep_apart()
        share_with_group(results_dir(), spool_dir())
        return _on_all_ranks(args) if launched().count > 1 else _done(args)
    except Refused as error:
        console.say(as_typed(error))
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "alexnet", "study"):
            raise
        extra = EXTRAS.get(package, "study")
        console.say(f"{args.verb} needs {not_installed(package, extra)}")
        return 2
    except KeyboardInterrupt:
        console.say("\nstopped; the same command continues from here")
        return 130
    except (Interrupted, LeaseLost) as error:
        console.say(f"{error}; the same command continues from here")
        return EXIT_LATER
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1 if args.verb in VERBS_THAT_TRAIN else 0  # these were not finished
    except OSError as error:
        if not (error.errno in (*NOT_OURS, *IN_THE_WAY) or isinstance(error, TimeoutError)):
            raise
        console.say(f"{in_a_line(error)}; what was written is whole, and once this is fixed the same command goes on")
        return 1


def _print_whatever_it_is() -> None:
    """Show "?" for characters that the terminal lacks, such as "∞": no text may end a command, least of all one that trains."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a stream that a caller captures may be of any type
            stream.reconfigure(errors="replace")


def _done(args: argparse.Namespace) -> int:
    """Check the claims, pack the user's own images, then run the command. Returns the exit code."""
    if getattr(args, "claims", None) and not means_all(args.claims):
        named_claims(args)
    own_images.resolve(args)
    return args.function(args) or 0


def _on_all_ranks(args: argparse.Namespace) -> int:
    """Under torchrun, run the command on rank 0; the other ranks follow it."""
    if args.verb not in ("run", "train"):
        raise Refused("torchrun: run and train work on several ranks, no other command")
    if launched().rank:
        from study.run.executors.torchrun import follow

        follow()
        return 0
    code = _done(args)
    from alexnet.training.data_parallel import join

    join().broadcast(None)
    return code
