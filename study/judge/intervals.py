"""Estimates and intervals of a handful of seeds: arrays in, intervals out.

Intervals are t intervals (Welch or paired), because at 3 to 10 seeds the bootstrap covers far less than it says. Times to a
target are compared as ratios, on logs. A run that never reached its target, a diverged one included, is censored at the budget:
it stays in the sample and turns the estimate into a bound."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Bound = Literal["exact", "at least", "at most", "unknown"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """An effect on the linear scale on which it is judged: no effect is 0, what was expected is above it."""

    estimate: float
    lower: float
    upper: float
    sd: float  # of one run, on the same scale
    variances: int  # how many runs' variances stand in the difference: 1 where runs are paired, else 2
    bound: Bound


# ---- Times to a target ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """When each run of one arm reached its target, in steps or epochs; None for a run that had not by the `budget`."""

    values: tuple[float | None, ...]  # one per seed, in (0, budget]
    budget: float  # same unit; every run was watched this long, or is known never to arrive

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
        """The smaller of time and budget, shape (seeds,)."""
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
    log_sd: float  # pooled over both arms, natural logs; too small where runs are censored
    degrees_of_freedom: float  # Welch-Satterthwaite; NaN if an arm has fewer than 2 runs

    @property
    def paired(self) -> bool:
        return False

    def on_line(self, expected: int = 1) -> Line:
        """On natural logs. A ratio is always expected above 1."""
        assert expected == 1
        estimate, lower, upper = (_log(end) for end in (self.estimate, self.lower, self.upper))
        return Line(estimate, lower, upper, self.log_sd, 2, self.bound)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


def ratio_of_times(treated: Times, control: Times, level: float = 0.95) -> Ratio:
    """How many times as long do treated runs take as control runs?

    The ratio of geometric means of the times restricted to the budget, with a Welch t interval on the logs. A censored
    treated run took longer than its restricted time, so the ratio is "at least" the estimate and has no upper limit; a
    censored control run makes it "at most", with lower limit 0; both together leave it "unknown", in (0, inf). The
    limit that remains is that of the two-sided interval. With fewer than 2 runs in an arm the interval is (0, inf).
    If neither arm varies the interval collapses to the estimate, on n_treated + n_control - 2 degrees of freedom:
    times read off a coarse grid of evaluations can do that, so interpolate them first.
    """
    assert treated.budget == control.budget, f"arms watched for {treated.budget} and {control.budget} do not compare"
    log_ratio, half_width, degrees_of_freedom, log_sd = _welch(np.log(treated.restricted), np.log(control.restricted), level)
    with np.errstate(over="ignore"):
        estimate, lower, upper = (float(np.exp(log_ratio + shift)) for shift in (0.0, -half_width, half_width))
    bounds: dict[tuple[bool, bool], Bound] = {
        (False, False): "exact", (True, False): "at least", (False, True): "at most", (True, True): "unknown",
    }  # fmt: skip
    return Ratio(
        estimate=estimate,
        lower=0.0 if control.censored or half_width == math.inf else lower,
        upper=math.inf if treated.censored or half_width == math.inf else upper,
        level=level,
        bound=bounds[treated.censored > 0, control.censored > 0],
        n_treated=len(treated),
        n_control=len(control),
        censored_treated=treated.censored,
        censored_control=control.censored,
        log_sd=log_sd,
        degrees_of_freedom=degrees_of_freedom,
    )


def kaplan_meier(times: Times) -> tuple[Floats, Floats]:
    """Which share of runs has not yet reached the target? Times and probabilities, both of shape (points,).

    From (0, 1) to the budget, each probability holding from its time to the next (draw with where="post"). An empty arm
    gives NaN probabilities, which draw nothing.
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
    """By how much the treated mean exceeds the control mean, in the unit of the values, with its interval."""

    estimate: float  # NaN if an arm is empty
    lower: float
    upper: float
    level: float
    paired: bool
    n_treated: int
    n_control: int
    sd: float  # pooled over both arms, or that of the paired differences
    degrees_of_freedom: float

    def on_line(self, expected: int = 1) -> Line:
        """In the unit of the values, mirrored where a difference below 0 is `expected` (-1)."""
        lower, upper = sorted((expected * self.lower, expected * self.upper))
        return Line(expected * self.estimate, lower, upper, self.sd, 1 if self.paired else 2, "exact")


def difference(treated: ArrayLike, control: ArrayLike, level: float = 0.95, paired: bool = False) -> Difference:
    """By how much does the treated mean exceed the control mean? Arrays of shape (seeds,), seed by seed if `paired`.

    A Welch interval, or a paired t interval, which suits two measurements of the same weights (with and without ten
    views, say). Training runs that share only a seed barely correlate and are not paired. Fewer than 2 runs in an arm:
    (-inf, inf).
    """
    treated, control = as_sample(treated), as_sample(control)
    if paired:
        assert treated.size == control.size, f"cannot pair {treated.size} with {control.size} runs"
        estimate, half_width, degrees_of_freedom, sd = _student(treated - control, level)
    else:
        estimate, half_width, degrees_of_freedom, sd = _welch(treated, control, level)
    unlimited = half_width == math.inf
    return Difference(
        estimate=estimate,
        lower=-math.inf if unlimited else estimate - half_width,
        upper=math.inf if unlimited else estimate + half_width,
        level=level,
        paired=paired,
        n_treated=treated.size,
        n_control=control.size,
        sd=sd,
        degrees_of_freedom=degrees_of_freedom,
    )


def difference_over_images(estimate: float, standard_error: float, images: int, nets: int, level: float = 0.95) -> Difference:
    """Averaged nets minus the mean of the same nets alone; the interval is over test images, the `nets` held fixed."""
    half_width = interval_half_width(standard_error**2, max(images - 1, 1), level)
    return Difference(
        estimate=estimate,
        lower=estimate - half_width,
        upper=estimate + half_width,
        level=level,
        paired=True,
        n_treated=nets,
        n_control=nets,
        sd=standard_error * math.sqrt(images),
        degrees_of_freedom=images - 1,
    )


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Where does the mean over seeds lie? (mean, lower, upper) by a t interval; NaN limits for fewer than 2 values."""
    values = as_sample(values)
    mean, half_width, _, _ = _student(values, level)
    if values.size < 2:
        return mean, math.nan, math.nan
    return mean, mean - half_width, mean + half_width


def as_sample(values: ArrayLike) -> Floats:
    values = np.asarray(values, dtype=float)
    assert values.ndim == 1 and np.isfinite(values).all(), f"need finite values of shape (seeds,), not {values}"
    return values


def _mean_and_variance(values: Floats) -> tuple[float, float]:
    """Measured from the first value, so that equal values have exactly that mean and no variance."""
    if not values.size:
        return math.nan, math.nan
    offsets = values - values[0]
    return float(values[0] + offsets.mean()), float(offsets.var(ddof=1)) if values.size > 1 else math.nan


def _student(values: Floats, level: float) -> tuple[float, float, float, float]:
    """One sample: (mean, half width of its interval, degrees of freedom, sd)."""
    mean, variance = _mean_and_variance(values)
    if values.size < 2:
        return mean, math.inf, math.nan, math.nan
    degrees_of_freedom = values.size - 1
    return mean, interval_half_width(variance / values.size, degrees_of_freedom, level), degrees_of_freedom, math.sqrt(variance)


def _welch(treated: Floats, control: Floats, level: float) -> tuple[float, float, float, float]:
    """Two samples: (difference of means, half width of its interval, degrees of freedom, pooled sd)."""
    means, variances = zip(_mean_and_variance(treated), _mean_and_variance(control), strict=True)
    spare = np.array([treated.size - 1, control.size - 1])  # degrees of freedom of each arm
    pooled = [(count, variance) for count, variance in zip(spare, variances, strict=True) if count > 0]
    sd = math.sqrt(np.average([v for _, v in pooled], weights=[c for c, _ in pooled])) if pooled else math.nan
    if spare.min() < 1:
        return means[0] - means[1], math.inf, math.nan, sd
    errors = np.array(variances) / (spare + 1)  # squared standard error of each mean
    degrees_of_freedom = float(errors.sum() ** 2 / (errors**2 / spare).sum()) if errors.any() else float(spare.sum())
    return means[0] - means[1], interval_half_width(errors.sum(), degrees_of_freedom, level), degrees_of_freedom, sd


def interval_half_width(squared_error: float, degrees_of_freedom: float, level: float) -> float:
    assert 0 < level < 1, f"level {level} is not a probability"
    return float(stats.t.ppf((1 + level) / 2, degrees_of_freedom) * math.sqrt(squared_error))


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


def share_of_runs(seen: int, runs: int, level: float = 0.95) -> Share:
    """The share `seen` of `runs`. Two-sided exact interval by the binomial distribution."""
    assert 0 <= seen <= runs
    if not runs:
        return Share(0, 0, math.nan, math.nan, level)
    interval = stats.binomtest(seen, runs).proportion_ci(level, method="exact")
    return Share(seen, runs, float(interval.low), float(interval.high), level)


Effect = Ratio | Difference | Share
