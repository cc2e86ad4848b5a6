"""`merge`: adds other people's results to the folder of results."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from alexnet.files import write_atomically
from study.cli.arguments import Verbs, add_verb, existing_folder, json_option, writable
from study.cli.console import command_line, print_json
from study.counted import counted
from study.environment import is_chosen, results_dir
from study.plan import results_folder

if TYPE_CHECKING:
    from study.judge.evidence import Findings
    from study.judge.family import Finding
    from study.judge.machines import Agreement
    from study.record.merging import Merged

MOST_NAMED = 10
"""How many runs are listed individually; `--json` lists all."""


def add_to(verbs: Verbs) -> None:
    text = (
        "add other people's folders of results to the folder of results (RESULTS_DIR), each run once; shows which runs with "
        "the same key have different bits, and whether two machines agree on each claim"
    )
    parser = add_verb(verbs, "merge", merge, text, json_option())
    parser.add_argument("folders", type=existing_folder("DIR"), nargs="+", metavar="DIR", help="folders of results")


def merge(args: argparse.Namespace) -> None:
    from study.judge.machines import agreement
    from study.record.merging import check_folders, put_together
    from study.report.left_out import left_out_words

    folder = results_dir()
    check_folders(folder, args.folders)
    writable(folder, "RESULTS_DIR")
    with results_folder.held(folder):
        merged = put_together(folder, args.folders, study_alone=not is_chosen())
        findings = _judged(folder, merged)
        if merged.files:
            results_folder.write(folder, merged.files)
        for name, content in merged.arrays.items():
            (folder / "figures").mkdir(exist_ok=True)
            write_atomically(folder / "figures" / name, content)
    agreements = [(finding, agreement(finding)) for finding in findings.found if len(finding.machines) > 1]
    if args.json:
        print_json(_as_json(merged, agreements, findings.left_out))
    else:
        print("\n".join([*_counts(merged, folder), *merged.notes, *_bits(merged), *map(_line, agreements)]))
        if words := left_out_words(findings):
            print(words)
        print(f"next: {command_line('report')}")


def _judged(folder: Path, merged: "Merged") -> "Findings":
    """Judge the files that are to be written. Raises Refused where they cannot be judged."""
    from study.judge.evidence import find_in

    ours = results_folder.read(folder, *results_folder.FILES)
    ours.check()
    try:
        return find_in({**ours.files, **merged.files}, "merged")
    except Refused as error:
        raise Refused(f"{error}; nothing was written") from None


def _counts(merged: "Merged", folder: Path) -> list[str]:
    return [
        f"{path}: {count} new runs into {folder}, {merged.known[path]} were there already with the same bits"
        for path, count in merged.new.items()
    ]


def _bits(merged: "Merged") -> list[str]:
    """Describe runs of one key that ended with different weights. Those on one machine, where this should not happen, are
    listed first."""
    one = [found for found in merged.other_bits if found.is_one_machine]
    lines = [
        f"{found.key}: two runs on {found.machines[0]} with different bits ({found.what}); ours stays"
        for found in one[:MOST_NAMED]
    ]
    if len(one) > MOST_NAMED:
        lines.append(f"and {len(one) - MOST_NAMED} more runs on one machine with different bits")
    across = [found for found in merged.other_bits if not found.is_one_machine]
    if across or merged.same_bits:
        lines.append(f"of runs on two machines {merged.same_bits} have the same bits, {len(across)} have different bits:")
        lines += [f"  {found.key}: {' and '.join(found.machines)} ({found.what})" for found in across[:MOST_NAMED]]
        lines += [f"  and {len(across) - MOST_NAMED} more"] if len(across) > MOST_NAMED else []
    return lines


def _line(agreement: "tuple[Finding, Agreement | None]") -> str:
    """Return a line that says whether the machines of a finding agree."""
    from study.report.phrases import effect_words, number

    one, agreed = agreement
    where = f"{one.claim_name}, {one.base}, {one.scale}"
    if agreed is None:
        return f"{where}: whether its machines agree is not asked, as nothing is compared run by run"
    each = "; ".join(
        f"{machine} {effect_words(effect, one.claim.measure.unit)} ({counted(effect.n_treated, 'seed')})"
        for machine, effect in agreed.effects.items()
    )
    answer = {
        "agree": f"the machines agree (that they share one effect: p = {number(agreed.p, 2)})",
        "differ": f"the machines DIFFER (that they share one effect: p = {number(agreed.p, 2)})",
        "not known": "whether the machines agree is not known, as this takes two seeds on each",
    }[agreed.answer]
    return f"{where}: {answer}: {each}"


def _as_json(merged: "Merged", agreements: "Sequence[tuple[Finding, Agreement | None]]", left_out: Mapping[str, int]) -> dict:
    return {
        "new_runs": {str(path): count for path, count in merged.new.items()},
        "known_runs": {str(path): count for path, count in merged.known.items()},
        "same_bits_on_two_machines": merged.same_bits,
        "other_bits": [asdict(found) for found in merged.other_bits],
        "notes": merged.notes,
        "left_out": dict(left_out),
        "machines": [
            {
                "claim": one.claim_name,
                "scale": one.scale,
                "base": one.base,
                "data_fingerprint": one.fingerprint,
                "answer": agreed.answer if agreed else "not asked",
                "p": agreed.p if agreed and agreed.p == agreed.p else None,
                "effects": {
                    machine: {"estimate": effect.estimate, "seeds": effect.n_treated}
                    for machine, effect in (agreed.effects if agreed else {}).items()
                },
            }
            for one, agreed in agreements
        ],
    }
