"""Power: how likely a true effect is to be told from none."""

import math

import numpy as np
from scipy import stats

from study.judge.intervals import Difference, Ratio

# ---- Power ----------------------------------------------------------------------------------------------------------


def power_of(found: "Difference | Ratio", effect: float, level: float = 0.95) -> float:
    """With how many seeds were run, and the spread they showed: how likely is a true `effect` (points, or a ratio) to be told
    from none? Two-sided t test, noncentral t. NaN where an arm has fewer than 2 runs or nothing varied.
    """
    size, sd = (math.log(effect), found.log_sd) if isinstance(found, Ratio) else (effect, found.sd)
    paired = isinstance(found, Difference) and found.paired
    if min(found.n_treated, found.n_control) < 2 or not sd > 0:
        return math.nan
    per_variance = 1 / found.n_treated if paired else 1 / found.n_treated + 1 / found.n_control
    degrees_of_freedom = found.n_treated - 1 if paired else found.n_treated + found.n_control - 2
    shift = abs(size) / (sd * math.sqrt(per_variance))
    edge = stats.t.ppf((1 + level) / 2, degrees_of_freedom)
    upper, lower = stats.nct.sf(edge, degrees_of_freedom, shift), stats.nct.cdf(-edge, degrees_of_freedom, shift)
    return float(
        np.nan_to_num(upper, nan=1.0) + np.nan_to_num(lower, nan=0.0)
    )  # scipy gives NaN for shifts far beyond the edge
