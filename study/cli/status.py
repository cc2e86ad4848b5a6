"""`status`: shows the machine, and which runs are done or begun."""

import argparse
from collections import Counter
from dataclasses import asdict

from alexnet.card import card
from study.cli.arguments import Verbs, add_verb, json_option, machine_of, machine_options
from study.cli.console import print_json
from study.counted import counted
from study.environment import spool_dir, there
from study.run.one_run import ALLOCATOR, software
from study.run.run_folder import RunState, states_of_runs


def add_to(verbs: Verbs) -> None:
    text = "show the machine, and the state of each run in the directory of runs"
    add_verb(verbs, "status", show_status, text, machine_options(), json_option())


def show_status(args: argparse.Namespace) -> int:
    """Print the status. Returns the exit code: 1 where a run has wrong files."""
    from alexnet.kernels import gpu  # torch

    machine, states = machine_of(args), states_of_runs(there(spool_dir(), "SPOOL_DIR"))
    if args.json:
        facts = {**asdict(machine), "label": machine.label}
        print_json({"machine": facts, "runs": [_as_json(state) for state in states], "allocator": ALLOCATOR})
        return int(any(state.fault for state in states))
    print(f"machine   {machine.label}; {counted(machine.jobs, 'run')} at a time, {counted(machine.threads, 'thread')} each")
    print(f"kernels   {software().kernels} (normalization, pools, 2012 update on a CPU: in C, or by torch in the same bits)")
    if machine.device == "cuda":
        found = card()
        print(f"gpu       compute capability {found.capability_text}; kernels on it: {gpu.in_words()}")
        print(f"          driver {found.driver}, CUDA {found.cuda}, cuDNN {found.cudnn}")
    print(f"allocator {' '.join(f'{name}={value}' for name, value in ALLOCATOR.items())} (set for every worker)")
    print(f"runs      {len(states)} in {spool_dir()}")
    groups = Counter((*asdict(state.asked).values(), _word(state)) for state in states)
    reasons = {(*asdict(state.asked).values(), _word(state)): state.why for state in reversed(states) if state.why}
    for group, count in sorted(groups.items()):
        claim, scale, base, arm, word = group
        why = f" ({reasons[group]})" if group in reasons else ""
        print(f"  {count:>3} {word:<13} {claim} {scale} {base} {arm}{why}")
    faulty = [state for state in states if state.fault]
    for state in faulty:
        print(f"{state.key}: {state.fault}")
    return 1 if faulty else 0


def _word(state: RunState) -> str:
    return f"search: {state.state}" if state.is_trial else state.state


def _as_json(state: RunState) -> dict:
    return {
        "key": state.key,
        **asdict(state.asked),
        "seed": state.seed,
        "state": _word(state),
        "why": state.why,
        "odd": state.fault,
    }
