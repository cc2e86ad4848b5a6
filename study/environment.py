"""The folders and choices that environment variables set; relative folders are looked for in the working folder."""

import os
from pathlib import Path

from alexnet.machine import launched


def results_dir() -> Path:
    """Where the tables, figures and reports are: RESULTS_DIR, else `results`."""
    return Path(os.environ.get("RESULTS_DIR") or "results")


def spool_dir() -> Path:
    """The directory of runs, a folder for each, finished or not: SPOOL_DIR, else `spool`."""
    return Path(os.environ.get("SPOOL_DIR") or "spool")


def data_dir() -> Path:
    """Where the image sets are: DATA_DIR, else `data`."""
    return Path(os.environ.get("DATA_DIR") or "data")


def damaged_choice() -> str:
    """What to do with damaged image files, "refuse" or "skip": DAMAGED, else "refuse"."""
    return os.environ.get("DAMAGED") or "refuse"


def launched_ranks() -> int:
    """How many processes torchrun started for this command; 1 without it."""
    return launched().count
