"""`report`: figures, pages and verdicts from the tables."""

import argparse

from study.cli.arguments import Verbs, add_verb, writable
from study.environment import results_dir


def add_to(verbs: Verbs) -> None:
    text = (
        "draw the figures and write REPORT.md, report.html, verdicts.json and verdicts.csv from the tables of results; needs "
        "no torch and no mlflow"
    )
    add_verb(verbs, "report", write_pages, text)


def write_pages(args: argparse.Namespace) -> None:
    from study.judge.evidence import find
    from study.report.pages import write_report
    from study.report.verdict_files import write_verdicts

    folder = writable(results_dir(), "RESULTS_DIR")
    findings = find(folder)
    for path in [*write_report(folder, findings), *write_verdicts(folder, findings)]:
        print(path)
