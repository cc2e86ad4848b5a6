"""`gpu-check`: whether this machine computes what it should, before any evidence is taken on it."""

import argparse
import json

from study.cli.arguments import Verbs, add_verb, json_option, machine_of, machine_options
from study.cli.console import Console


def add_to(verbs: Verbs) -> None:
    text = (
        "check this machine (two minutes on a GPU): kernels against formulas, gradients of the networks against float64, runs "
        "among others and in a graph against the run alone; `run` does it by itself once on each GPU"
    )
    add_verb(verbs, "gpu-check", gpu_check, text, machine_options(), json_option())


def gpu_check(args: argparse.Namespace) -> int:
    """Returns the exit code: 1 where a check fails."""
    from study.run.self_check import identity, in_words, run_checks

    machine, console = machine_of(args), Console(to_stderr=args.json)
    console.say("\n".join(f"{name:<9} {value}" for name, value in identity(machine).items()))
    report = run_checks(machine, lambda row: console.say(in_words(row)))
    failed = sum(not row.passed for row in report.rows)
    console.say(f"{len(report.rows)} checks, {failed} failed; results name this check {report.digest}")
    if args.json:
        print(json.dumps({**report.to_json(), "digest": report.digest}, indent=1))
    return 0 if report.passed else 1
