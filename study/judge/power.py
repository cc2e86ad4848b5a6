"""Power: how likely a true effect is to be told from none."""

import math

from scipy import stats

from study.judge.intervals import Difference, Ratio


def power_of(found: Difference | Ratio, effect: float, level: float = 0.95) -> float:
    """With how many seeds were run, and the spread they showed: how likely is a true `effect` (in the unit of the difference,
    or a ratio) to be told from none?

    Of a two-sided t test, by the noncentral t distribution. NaN where an arm has fewer than 2 runs or nothing varied.
    """
    size, sd = (math.log(effect), found.log_sd) if isinstance(found, Ratio) else (effect, found.sd)
    if min(found.n_treated, found.n_control) < 2 or not sd > 0:
        return math.nan
    per_variance = 1 / found.n_treated if found.paired else 1 / found.n_treated + 1 / found.n_control
    degrees_of_freedom = found.n_treated - 1 if found.paired else found.n_treated + found.n_control - 2
    shift = abs(size) / (sd * math.sqrt(per_variance))
    edge = stats.t.ppf((1 + level) / 2, degrees_of_freedom)
    upper, lower = stats.nct.sf(edge, degrees_of_freedom, shift), stats.nct.cdf(-edge, degrees_of_freedom, shift)
    if math.isnan(upper):  # scipy's answer for shifts far beyond the edge
        return 1.0
    return float(upper + (0.0 if math.isnan(lower) else lower))
