"""`report`: writes figures, pages and verdicts from the tables."""

import argparse

from alexnet.errors import Refused
from study.cli.arguments import Verbs, add_verb, writable
from study.environment import results_dir, there


def add_to(verbs: Verbs) -> None:
    text = (
        "draw the figures and write REPORT.md, a page for each claim, REPRODUCTION.md, report.html, verdicts.json and "
        "verdicts.csv from the tables of results; needs no torch and no mlflow"
    )
    add_verb(verbs, "report", write_pages, text)


def write_pages(args: argparse.Namespace) -> None:
    folder = there(results_dir(), "RESULTS_DIR")
    if not (folder / "runs.csv").is_file():
        raise Refused(f"RESULTS_DIR: no runs.csv in {folder}, so there is nothing to report; `run` makes it")
    from study.judge.evidence import find
    from study.report.left_out import left_out_words
    from study.report.pages import write_report
    from study.report.verdict_files import write_verdicts

    findings = find(writable(folder, "RESULTS_DIR"))
    for path in [*write_report(folder, findings), *write_verdicts(folder, findings)]:
        print(path)
    if words := left_out_words(findings):
        print(words)
