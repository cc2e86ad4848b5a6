"""Runs that learned nothing."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import stats

DOUBT = 0.05
"""A run has learned something where fewer test errors than its would be this unlikely for always answering one class."""

Row = Mapping[str, Any]
"""A row of runs.csv, by the names of its columns."""


def learned_nothing(row: Row) -> bool:
    """Whether a run cannot be told from a network that answers the commonest training class whatever it sees.

    Its answers are all the same; or its test error (top-1, of the centre view) is not below that of such a network beyond
    chance: a binomial test at DOUBT, over the test images. Where nearly all test images are of the commonest class, no error
    would tell them apart, and the answer is yes: such a test set shows nothing. No where it is not known: rows of before these
    columns, and runs without a test error, which diverged or stalled."""
    told = [row.get(name) for name in ("test_error", "chance_error", "predicted_classes", "test_images")]
    known = [float(value) for value in told if value is not None and not pd.isna(value)]
    if len(known) < len(told):
        return False
    error, chance, classes, images = known
    return classes <= 1 or float(stats.binom.cdf(round(error * images), images, chance)) > DOUBT
