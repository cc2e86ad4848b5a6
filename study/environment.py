"""What the user sets by environment variables for all commands that read images."""

import os
from pathlib import Path


def data_dir() -> Path:
    """The folder of all image sets: DATA_DIR, by default "data"."""
    return Path(os.environ.get("DATA_DIR") or "data")


def damaged_choice() -> str:
    """What is done with damaged image files: DAMAGED, "refuse" by default, or "skip"."""
    return os.environ.get("DAMAGED") or "refuse"
