"""`gpu-check`: checks that this machine computes correctly, before its runs count as evidence."""

import argparse

from study.cli.arguments import Verbs, add_verb, json_option, machine_of, machine_options, whole_number
from study.cli.console import Console, print_json


def add_to(verbs: Verbs) -> None:
    text = (
        "check that this machine computes correctly (at most two minutes): compares kernels with formulas, runs that share the "
        "GPU or use a CUDA graph with the same run alone, and gradients of the networks with float64; `run` does this once on "
        "each GPU"
    )
    parser = add_verb(verbs, "gpu-check", gpu_check, text, machine_options(), json_option())
    parser.add_argument(
        "--seconds",
        type=whole_number("--seconds", 1),
        help="time limit; checks that do not fit are listed as not reached; default: 120",
    )


def gpu_check(args: argparse.Namespace) -> int:
    """Run the checks. Returns the exit code: 1 where a check fails or is not reached."""
    from study.run.self_check import SECONDS, identity, in_words, run_checks

    machine, console = machine_of(args), Console(to_stderr=args.json)
    console.say("\n".join(f"{name:<9} {value}" for name, value in identity(machine).items()))
    seconds = args.seconds or SECONDS
    report = run_checks(machine, lambda row: console.say(in_words(row)), seconds=seconds)
    checks = f"{len(report.rows)} checks, {len(report.wrong)} failed"
    if report.not_reached:
        checks += f"; not reached in {seconds} s (--seconds gives it more): {', '.join(report.not_reached)}"
    console.say(f"{checks}; results name this check {report.digest}")
    if args.json:
        print_json({**report.to_json(), "digest": report.digest})
    return 0 if report.passed else 1
