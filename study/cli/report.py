"""`report`: figures and pages from the tables."""

import argparse

from study.cli.arguments import Verbs, add_verb, writable
from study.environment import results_dir


def add_to(verbs: Verbs) -> None:
    text = "draw the figures and write REPORT.md and report.html from the tables of results; needs no torch and no mlflow"
    add_verb(verbs, "report", write_pages, text)


def write_pages(args: argparse.Namespace) -> None:
    from study.report.pages import write_report

    for path in write_report(writable(results_dir(), "RESULTS_DIR")):
        print(path)
