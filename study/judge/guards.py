"""Runs that are no evidence: those that learned nothing, arms that changed nothing, and values without any spread."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

DOUBT = 0.05
"""A run has learned something where fewer test errors than its would be this unlikely for always answering one class."""

Row = Mapping[str, Any]
"""A row of runs.csv, by the names of its columns."""
Block = tuple[int, str]
"""A seed on a machine, by its label."""


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


def unchanged(treated: Iterable[Row], control: Iterable[Row]) -> list[Block]:
    """At which blocks the treated arm changed nothing: both runs ended in the same weights, to the bit.

    They are one run, or what sets the arms apart never took effect: two such runs are no evidence of "no effect". Runs that
    diverged are left out, since weights that are no numbers are alike whatever led there."""
    weights = {_block(row): row["weights_sha256"] for row in control if row["outcome"] != "diverged"}
    return sorted(
        _block(row) for row in treated if row["outcome"] != "diverged" and weights.get(_block(row)) == row["weights_sha256"]
    )


def unchanged_words(blocks: Sequence[Block]) -> str:
    """What the report says of `unchanged` blocks; empty where there are none."""
    if not blocks:
        return ""
    seeds = ", ".join(str(seed) for seed in sorted({seed for seed, _ in blocks}))
    return f"this arm changed nothing: equal weights at seed{'s' if ',' in seeds else ''} {seeds}"


def has_no_spread(values: ArrayLike) -> bool:
    """Whether two or more values are all the same, up to the rounding of sums and differences.

    A spread of exactly zero is never certainty: runs that differ in their draws and not in their outcome were measured too
    coarsely, failed alike, or are one run. No interval may be made of it."""
    values = np.asarray(values, dtype=float)
    return values.size > 1 and float(np.ptp(values)) <= 1e-9 * max(1.0, float(np.abs(values).max()))


def _block(row: Row) -> Block:
    return int(row["seed"]), str(row["machine"])
