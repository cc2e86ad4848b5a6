"""Splits the spread of runs into its sources: the arm, the seed (shared by all arms), the rest, and the test images.

The report shows it as a table; no verdict depends on it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.judge.images import image_variance
from study.judge.intervals import LEVEL

COLUMNS = ("component", "sd", "lower", "upper", "n", "degrees_of_freedom")
ARM, SEED, REST = "arm", "seed", "seed x arm"
LEVEL_IMAGES = "test images, of a level"


@dataclass(frozen=True)
class ArmRuns:
    """The runs of an arm on a machine, with one entry per run."""

    label: str
    keys: Sequence[str]
    seeds: Sequence[int]
    machine: str
    values: Sequence[float | None]  # of one measure; None where a run has none


def runs_of(arms: Iterable[ArmRuns]) -> pd.DataFrame:
    """Return the runs of many claims' arms, each once: columns arm, block (a seed on a machine) and value.

    Claims share runs under arms of different names. Arms that have a run in common count as one, with the first name."""
    names: dict[str, str] = {}
    rows: dict[tuple[str, str], tuple[str, str, float]] = {}
    for arm in arms:
        label = next((names[key] for key in arm.keys if key in names), arm.label)
        names |= dict.fromkeys(arm.keys, label)
        for key, seed, value in zip(arm.keys, arm.seeds, arm.values, strict=True):
            if value is not None:
                rows.setdefault((key, arm.machine), (label, f"{seed} {arm.machine}", value))
    return pd.DataFrame(list(rows.values()), columns=["arm", "block", "value"])


def variance_components(runs: pd.DataFrame, answers: Mapping[str, NDArray] | None = None) -> pd.DataFrame:
    """Return the components of the spread of `runs` (columns arm, block, value) of one base, scale and measure, one per row.

    The model is value = mean + arm + seed + seed x arm, each term with its own variance. A "seed" is a block: a seed on a
    machine, whose random draws all arms share. Not every arm needs every seed. The sum of squares of each factor is what it
    explains beyond the other in a least-squares fit, and is equated with its expectation (Henderson 1953, method 3; Searle,
    Casella and McCulloch 1992, chapter 5). For balanced runs this is the analysis of variance. "seed x arm" is the residual,
    the noise of a run. It is a mean over arms, so it does not show whether arms spread differently.

    sd is in the unit of the values, with an interval: from chi-squared for "seed x arm", from Williams (1962) for the others,
    which is approximate for unbalanced runs. sd is 0 where a factor explains no more than noise would. n is the number of runs,
    seeds or arms. Rows are NaN with too few runs.

    `answers`: by arm, how wrong each answer is (0 to 1), [runs, images]. They give one more row: the standard error, in points,
    of an arm's level that comes from the sampling of the test images, as the root of a mean over n arms. Arms with fewer than
    2 runs are skipped."""
    arms, blocks = (pd.get_dummies(runs[name]).to_numpy(dtype=float) for name in ("arm", "block"))
    y = runs["value"].to_numpy(dtype=float)
    both = np.hstack([arms, blocks])
    residual, used = _residual(both, y)
    df = len(y) - used
    rows = [
        _factor(ARM, arms, blocks, y, residual, df),
        _factor(SEED, blocks, arms, y, residual, df),
        _rest(residual, df, len(y)),
    ]
    if answers is not None:
        rows.append(_of_images(answers))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def intraclass_correlation(runs: pd.DataFrame) -> tuple[float, float, float]:
    """Return the correlation of two arms at one seed, with its interval: the seed's variance divided by the variance of a run
    around its arm's mean.

    The interval is exact for normal values where every arm has every seed (Searle et al. 1992, section 3.6). It may reach below
    0. NaN with too few runs."""
    arms, blocks = (pd.get_dummies(runs[name]).to_numpy(dtype=float) for name in ("arm", "block"))
    y = runs["value"].to_numpy(dtype=float)
    residual, used = _residual(np.hstack([arms, blocks]), y)
    df = len(y) - used
    of_seeds, seeds_df, each = _taken(blocks, arms, y, residual)
    if df < 1 or seeds_df < 1 or residual <= 0:
        return math.nan, math.nan, math.nan
    ratio, tail = of_seeds / seeds_df / (residual / df), (1 - LEVEL) / 2
    limits = [1.0, *(float(stats.f.ppf(p, seeds_df, df)) for p in (1 - tail, tail))]
    estimate, lower, upper = ((ratio / limit - 1) / (ratio / limit - 1 + each) for limit in limits)
    return estimate, lower, upper


def _residual(design: NDArray, y: NDArray) -> tuple[float, int]:
    """Return the residual sum of squares of a least-squares fit, and the rank of its design."""
    fitted, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    return float(((y - design @ fitted) ** 2).sum()), int(rank)


def _taken(factor: NDArray, other: NDArray, y: NDArray, residual: float) -> tuple[float, int, float]:
    """Return the sum of squares that `factor` explains beyond `other`, its degrees of freedom, and the weight of its variance
    in the mean square: the mean number of runs per level."""
    alone, rank = _residual(other, y)
    _, both = _residual(np.hstack([factor, other]), y)
    left = factor - other @ np.linalg.lstsq(other, factor, rcond=None)[0]
    df = both - rank
    return alone - residual, df, float((left**2).sum()) / df if df else math.nan


def _factor(name: str, factor: NDArray, other: NDArray, y: NDArray, residual: float, df: int) -> tuple:
    taken, own_df, each = _taken(factor, other, y, residual)
    levels = factor.shape[1]
    if df < 1 or own_df < 1:
        return name, math.nan, math.nan, math.nan, levels, own_df
    own, noise, tail = taken / own_df, residual / df, (1 - LEVEL) / 2
    lower, upper = (
        (own - float(stats.f.ppf(p, own_df, df)) * noise) * own_df / float(stats.chi2.ppf(p, own_df)) / each
        for p in (1 - tail, tail)
    )
    return name, _root((own - noise) / each), _root(lower), _root(upper), levels, own_df


def _rest(residual: float, df: int, runs: int) -> tuple:
    if df < 1:
        return REST, math.nan, math.nan, math.nan, runs, df
    lower, upper = (residual / float(stats.chi2.ppf(p, df)) for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return REST, _root(residual / df), _root(lower), _root(upper), runs, df


def _of_images(answers: Mapping[str, NDArray]) -> tuple:
    levels = [image_variance(wrong) for wrong in answers.values() if len(wrong) > 1]
    return LEVEL_IMAGES, 100 * _root(_mean(levels)), math.nan, math.nan, len(levels), math.nan


def _mean(values: ArrayLike) -> float:
    values = np.asarray(values, dtype=float)
    return float(values.mean()) if values.size else math.nan


def _root(variance: float) -> float:
    return variance if math.isnan(variance) else math.sqrt(max(0.0, variance))
