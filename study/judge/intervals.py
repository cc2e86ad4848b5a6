"""Estimates and intervals from a few seeds: arrays in, intervals out.

Intervals are t intervals, because at 3 to 10 seeds the bootstrap covers far less than its level; blocks.py compares two arms.
Times to a target are compared as ratios, on logs. A run that never reached its target, for example because it diverged, is
censored at the budget: it stays in the sample and turns the estimate into a bound."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Bound = Literal["exact", "at least", "at most", "unknown"]
Floats = NDArray[np.float64]
LEVEL = 0.95
"""Of all intervals but those that say another."""


@dataclass(frozen=True)
class Line:
    """An effect on the linear scale on which it is judged: no effect is 0, the expected direction is above 0."""

    estimate: float
    lower: float
    upper: float
    standard_error: float  # NaN where it is not known
    degrees_of_freedom: float
    bound: Bound


# ---- Times to a target ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """When each run of one arm reached its target, in steps or epochs; None for a run that did not within the `budget`."""

    values: tuple[float | None, ...]  # one per seed, in (0, budget]
    budget: float  # same unit; every run was observed this long, or is known never to arrive

    def __post_init__(self) -> None:
        assert 0 < self.budget < math.inf, f"budget must be positive and finite, not {self.budget}"
        for value in self.values:  # a censored run is None, never infinity or NaN
            assert value is None or 0 < value <= self.budget, f"time {value} is outside (0, {self.budget}]"

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_censored(self) -> NDArray[np.bool_]:
        """Which runs never arrived, shape (seeds,)."""
        return np.array([value is None for value in self.values], dtype=bool)

    @property
    def restricted(self) -> Floats:
        """The times, with the budget for runs that never arrived, shape (seeds,)."""
        return np.array([self.budget if value is None else value for value in self.values], dtype=float)

    @property
    def censored(self) -> int:
        """How many runs never arrived."""
        return int(self.is_censored.sum())


@dataclass(frozen=True)
class Ratio:
    """How many times as long the treated runs took as the control runs, with its interval."""

    estimate: float  # ratio of geometric means of restricted times; NaN if an arm is empty
    lower: float
    upper: float
    level: float
    bound: Bound  # what censoring makes of the estimate
    n_treated: int
    n_control: int
    censored_treated: int
    censored_control: int
    standard_error: float  # of its natural log; NaN where it is not known
    degrees_of_freedom: float

    def on_line(self, expected: int = 1) -> Line:
        """Return its natural log as a Line. A ratio is always expected above 1."""
        assert expected == 1
        estimate, lower, upper = (_log(end) for end in (self.estimate, self.lower, self.upper))
        return Line(estimate, lower, upper, self.standard_error, self.degrees_of_freedom, self.bound)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


def ratio_of_logs(logs: "Difference", censored_treated: int = 0, censored_control: int = 0) -> Ratio:
    """Return the ratio whose natural log is a difference of mean logs of restricted times.

    A censored treated run took longer than its restricted time, so the ratio is "at least" the estimate and has no upper limit.
    A censored control run makes it "at most", with lower limit 0. Both together make it "unknown", in (0, inf). The remaining
    limit is that of the two-sided interval.
    """
    with np.errstate(over="ignore"):
        estimate, lower, upper = (float(np.exp(value)) for value in (logs.estimate, logs.lower, logs.upper))
    bounds: dict[tuple[bool, bool], Bound] = {
        (False, False): "exact", (True, False): "at least", (False, True): "at most", (True, True): "unknown",
    }  # fmt: skip
    return Ratio(
        estimate=estimate,
        lower=0.0 if censored_control else lower,
        upper=math.inf if censored_treated else upper,
        level=logs.level,
        bound=bounds[censored_treated > 0, censored_control > 0],
        n_treated=logs.n_treated,
        n_control=logs.n_control,
        censored_treated=censored_treated,
        censored_control=censored_control,
        standard_error=logs.standard_error,
        degrees_of_freedom=logs.degrees_of_freedom,
    )


def kaplan_meier(times: Times) -> tuple[Floats, Floats]:
    """Return the share of runs that have not reached the target yet, as times and probabilities, both of shape (points,).

    The curve goes from (0, 1) to the budget. Each probability holds from its time to the next (draw with where="post"). An
    empty arm gives NaN probabilities, which draw nothing.
    """
    if not len(times):
        return np.array([0.0, times.budget]), np.full(2, math.nan)
    not_yet = stats.ecdf(as_censored_data(times)).sf
    x = np.concatenate([[0.0], not_yet.quantiles])
    probability = np.concatenate([[1.0], not_yet.probabilities])
    if x[-1] < times.budget:
        x, probability = np.append(x, times.budget), np.append(probability, probability[-1])
    return x, probability


def as_censored_data(times: Times) -> stats.CensoredData:
    return stats.CensoredData.right_censored(times.restricted, times.is_censored)


# ---- Means and differences ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """Treated mean minus control mean, in the unit of the values, with its interval."""

    estimate: float  # NaN if an arm is empty
    lower: float
    upper: float
    level: float
    n_treated: int
    n_control: int
    sd: float  # of one run of an arm, pooled over both; for differences within runs, of these differences
    standard_error: float  # NaN where it is not known: fewer than 2 blocks, or nothing varied
    degrees_of_freedom: float
    blocks: int = 0  # pairs of runs that share a seed and a machine

    def on_line(self, expected: int = 1) -> Line:
        """Return the difference as a Line, with the sign changed where a difference below 0 is `expected` (-1)."""
        lower, upper = sorted((expected * self.lower, expected * self.upper))
        return Line(expected * self.estimate, lower, upper, self.standard_error, self.degrees_of_freedom, "exact")


def within_runs(values: ArrayLike, level: float = LEVEL) -> Difference:
    """Return the mean of differences within runs, shape (seeds,), with a one-sample t interval. It has no limits with fewer
    than 2 runs, and where nothing varied."""
    values = as_sample(values)
    mean, variance = mean_and_variance(values)
    error = math.sqrt(variance / values.size) if values.size > 1 and variance > 0 else math.nan
    return difference_of(mean, error, values.size - 1, level, values.size, values.size, math.sqrt(variance), values.size)


def difference_of(
    estimate: float,
    standard_error: float,
    degrees_of_freedom: float,
    level: float,
    n_treated: int,
    n_control: int,
    sd: float,
    blocks: int = 0,
) -> Difference:
    """Return an estimate with its t interval; without limits where the error is not known."""
    half_width = float(stats.t.ppf((1 + level) / 2, degrees_of_freedom)) * standard_error
    unlimited = not half_width >= 0
    return Difference(
        estimate=estimate,
        lower=-math.inf if unlimited else estimate - half_width,
        upper=math.inf if unlimited else estimate + half_width,
        level=level,
        n_treated=n_treated,
        n_control=n_control,
        sd=sd,
        standard_error=standard_error,
        degrees_of_freedom=degrees_of_freedom,
        blocks=blocks,
    )


def difference_over_images(estimate: float, standard_error: float, images: int, nets: int, level: float = LEVEL) -> Difference:
    """Return the error of averaged nets minus the mean error of the same nets alone. The interval is over test images, with the
    `nets` held fixed."""
    sd = standard_error * math.sqrt(images)
    return difference_of(estimate, standard_error, max(images - 1, 1), level, nets, nets, sd)


def mean_interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the mean over seeds as (mean, lower, upper), by a t interval. NaN limits for fewer than 2 values, and where
    nothing varies: zero spread is no certainty."""
    values = as_sample(values)
    mean, variance = mean_and_variance(values)
    if values.size < 2 or variance <= 0:
        return mean, math.nan, math.nan
    half_width = float(stats.t.ppf((1 + level) / 2, values.size - 1)) * math.sqrt(variance / values.size)
    return mean, mean - half_width, mean + half_width


def as_sample(values: ArrayLike) -> Floats:
    values = np.asarray(values, dtype=float)
    assert values.ndim == 1 and np.isfinite(values).all(), f"need finite values of shape (seeds,), not {values}"
    return values


def mean_and_variance(values: Floats) -> tuple[float, float]:
    """Return mean and variance, computed relative to the first value, so that equal values have exactly that mean and no
    variance. Differences beyond the tenth decimal are rounding errors, which must not count as a small spread."""
    if not values.size:
        return math.nan, math.nan
    offsets = np.round(values - values[0], 10)
    return float(values[0] + offsets.mean()), float(offsets.var(ddof=1)) if values.size > 1 else math.nan


# ---- Shares of runs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """In how many runs something was seen, with the exact (Clopper-Pearson) interval of its probability."""

    seen: int
    runs: int
    lower: float  # NaN for no runs
    upper: float
    level: float

    @property
    def estimate(self) -> float:
        return self.seen / self.runs if self.runs else math.nan


def share_of_runs(seen: int, runs: int, level: float = LEVEL) -> Share:
    """Return the share `seen` / `runs` with its two-sided exact binomial interval."""
    assert 0 <= seen <= runs
    if not runs:
        return Share(0, 0, math.nan, math.nan, level)
    interval = stats.binomtest(seen, runs).proportion_ci(level, method="exact")
    return Share(seen, runs, float(interval.low), float(interval.high), level)


Effect = Ratio | Difference | Share
