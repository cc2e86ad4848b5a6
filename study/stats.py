"""Statistics of a handful of seeds: arrays in, intervals and verdicts out.

Intervals are t intervals (Welch or paired), because at 3 to 10 seeds the bootstrap covers far less than it says. Times
to a target are compared as ratios, on logs. A run that never reached its target, a diverged one included, is censored
at the budget: it stays in the sample and turns the estimate into a bound. Nothing here reads a file or draws a hidden
random number.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Bound = Literal["exact", "at least", "at most", "unknown"]
Direction = Literal["supported", "contradicted", "no effect", "undecided", "incomplete", "no claim"]
Size = Literal["consistent", "smaller", "larger", "undecided", "not judged"]
Floats = NDArray[np.float64]

MOST_SPLITS = 20_000  # permutations: all of them up to here, this many random ones beyond
SIZE_BAND = (0.5, 1.5)  # a size is consistent with the paper's within these multiples of it
FINEST_HALF_WIDTH = math.log(1.02)  # no seeds are asked for to tell sizes closer than 2% apart


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


def log_rank_p(treated: Times, control: Times) -> float:
    """Could both arms share one distribution of times? Two-sided log-rank p value, from the order of arrivals only.

    NaN where the order says nothing: an empty arm, no run that arrived, or all of them at the same moment.
    """
    arrived = [value for value in treated.values + control.values if value is not None]
    tied = len(set(arrived)) == 1 and len(arrived) == len(treated) + len(control)
    if not len(treated) or not len(control) or not arrived or tied:
        return math.nan
    return float(stats.logrank(_as_censored_data(treated), _as_censored_data(control)).pvalue)


def kaplan_meier(times: Times) -> tuple[Floats, Floats]:
    """Which share of runs has not yet reached the target? Times and probabilities, both of shape (points,).

    From (0, 1) to the budget, each probability holding from its time to the next (draw with where="post"). An empty arm
    gives NaN probabilities, which draw nothing.
    """
    if not len(times):
        return np.array([0.0, times.budget]), np.full(2, math.nan)
    not_yet = stats.ecdf(_as_censored_data(times)).sf
    x = np.concatenate([[0.0], not_yet.quantiles])
    probability = np.concatenate([[1.0], not_yet.probabilities])
    if x[-1] < times.budget:
        x, probability = np.append(x, times.budget), np.append(probability, probability[-1])
    return x, probability


def _as_censored_data(times: Times) -> stats.CensoredData:
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


def difference(treated: ArrayLike, control: ArrayLike, level: float = 0.95, paired: bool = False) -> Difference:
    """By how much does the treated mean exceed the control mean? Arrays of shape (seeds,), seed by seed if `paired`.

    A Welch interval, or a paired t interval, which suits two measurements of the same weights (with and without ten
    views, say). Training runs that share only a seed barely correlate and are not paired. Fewer than 2 runs in an arm:
    (-inf, inf).
    """
    treated, control = _as_sample(treated), _as_sample(control)
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


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Where does the mean over seeds lie? (mean, lower, upper) by a t interval; NaN limits for fewer than 2 values."""
    values = _as_sample(values)
    mean, half_width, _, _ = _student(values, level)
    if values.size < 2:
        return mean, math.nan, math.nan
    return mean, mean - half_width, mean + half_width


def _as_sample(values: ArrayLike) -> Floats:
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
    return mean, _half_width(variance / values.size, degrees_of_freedom, level), degrees_of_freedom, math.sqrt(variance)


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
    return means[0] - means[1], _half_width(errors.sum(), degrees_of_freedom, level), degrees_of_freedom, sd


def _half_width(squared_error: float, degrees_of_freedom: float, level: float) -> float:
    assert 0 < level < 1, f"level {level} is not a probability"
    return float(stats.t.ppf((1 + level) / 2, degrees_of_freedom) * math.sqrt(squared_error))


# ---- P values -------------------------------------------------------------------------------------------------------


def permutation_p(
    treated: ArrayLike, control: ArrayLike, logs: bool = True, generator: np.random.Generator | None = None
) -> float:
    """How often would shuffled arm labels part the means as far as the true labels do? Arrays of shape (seeds,).

    Two-sided, on means of logs unless `logs` is off. Exact over all C(n+m, n) splits up to MOST_SPLITS of them; beyond,
    MOST_SPLITS random splits drawn from `generator`, which is then required. NaN if an arm is empty.
    """
    treated, control = _as_sample(treated), _as_sample(control)
    if not treated.size or not control.size:
        return math.nan
    assert not logs or min(treated.min(), control.min()) > 0, "logs need positive values"
    pooled = np.concatenate([treated, control])
    pooled = np.log(pooled) if logs else pooled
    if np.ptp(pooled) == 0:
        return 1.0
    pooled = (pooled - pooled.min()) / np.ptp(pooled)

    def gap(first: Floats, second: Floats, axis: int) -> Floats:
        # Rounded, so that splits that tie stay tied in any order of summing.
        return np.round(np.abs(first.mean(axis=axis) - second.mean(axis=axis)), 12)

    if (splits := _splits(treated.size, control.size)) <= MOST_SPLITS:
        labels = np.zeros((splits, pooled.size), dtype=bool)  # True for a run relabelled as treated
        chosen = list(itertools.combinations(range(pooled.size), treated.size))  # the first is the split observed
        np.put_along_axis(labels, np.array(chosen), True, axis=1)
        everyone = np.broadcast_to(pooled, labels.shape)
        gaps = gap(everyone[labels].reshape(splits, -1), everyone[~labels].reshape(splits, -1), axis=1)
        return float((gaps >= gaps[0]).mean())
    assert generator is not None, f"{splits} splits are too many to count and need a generator"
    shuffled = np.tile(pooled, (MOST_SPLITS + 1, 1))  # the first stays as observed
    generator.permuted(shuffled[1:], axis=1, out=shuffled[1:])
    gaps = gap(shuffled[:, : treated.size], shuffled[:, treated.size :], axis=1)
    return float((gaps >= gaps[0]).mean())


def sign_flip_p(differences: ArrayLike, generator: np.random.Generator | None = None) -> float:
    """How often would differences of random sign have a mean as far from 0? Shape (seeds,), one difference a run.

    Two-sided; exact over all 2^n signs up to MOST_SPLITS of them, else MOST_SPLITS random ones from `generator`. Its floor is
    2^(1 - n). NaN for none.
    """
    differences = _as_sample(differences)
    n = differences.size
    if not n:
        return math.nan
    if 2**n <= MOST_SPLITS:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        assert generator is not None, f"2^{n} signs are too many to count and need a generator"
        signs = np.vstack([np.ones(n), generator.choice([-1, 1], (MOST_SPLITS, n))])
    means = np.round(np.abs(signs @ differences) / max(np.abs(differences).sum(), np.finfo(float).tiny), 12)
    return float((means >= means[0]).mean())


def permutation_floor(n_treated: int, n_control: int) -> float:
    """The smallest p value that permutation_p can give for these numbers of runs, however far apart the arms are."""
    splits = _splits(n_treated, n_control)
    if splits > MOST_SPLITS:
        return 1 / (MOST_SPLITS + 1)  # the observed split counts as one more
    return (2 if n_treated == n_control else 1) / splits if min(n_treated, n_control) else math.nan


def _splits(n_treated: int, n_control: int) -> int:
    return math.comb(n_treated + n_control, n_treated)


def holm(p_values: ArrayLike) -> Floats:
    """Which of several claims survive being tested together? Holm's adjusted p values, shape (claims,) as given.

    A NaN stays NaN and does not count as a claim tested.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(p_values.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(order.size, 0, -1)))
    return adjusted


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


def p_value(effect: "Ratio | Difference | Share") -> float:
    """The chance of an estimate as far from no effect, if there were none: that of the t interval, two-sided, by the limit that
    is finite. NaN where the interval has none or nothing varied, and for a share of runs."""
    if isinstance(effect, Share) or not effect.degrees_of_freedom > 0:
        return math.nan
    ends = (effect.lower, effect.estimate, effect.upper)
    lower, estimate, upper = (_log(end) for end in ends) if isinstance(effect, Ratio) else ends
    half_width = estimate - lower if math.isfinite(lower) else upper - estimate
    if not 0 < half_width < math.inf:
        return math.nan
    error = half_width / stats.t.ppf((1 + effect.level) / 2, effect.degrees_of_freedom)
    return float(2 * stats.t.sf(abs(estimate) / error, effect.degrees_of_freedom))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


# ---- Contrasts of several arms --------------------------------------------------------------------------------------


def contrast(arms: Sequence[ArrayLike], weights: ArrayLike, level: float = 0.95) -> "Difference":
    """sum of weights[i] * mean(arms[i]), with a t interval on the spread within arms, pooled. Arms of shape (seeds,) each.

    NaN without limits where an arm is empty; no limits where no arm has 2 runs.
    """
    samples, weights = [_as_sample(values) for values in arms], np.asarray(weights, dtype=float)
    counts = np.array([values.size for values in samples])
    estimate = float(weights @ [_mean_and_variance(values)[0] for values in samples]) if counts.all() else math.nan
    spare = np.maximum(counts - 1, 0)
    degrees_of_freedom, half_width, sd = int(spare.sum()), math.inf, math.nan
    if counts.all() and degrees_of_freedom:
        pooled = sum(s * _mean_and_variance(v)[1] for s, v in zip(spare, samples, strict=True) if s) / degrees_of_freedom
        sd = math.sqrt(pooled)
        half_width = _half_width(pooled * float((weights**2 / counts).sum()), degrees_of_freedom, level)
    unlimited = half_width == math.inf
    return Difference(
        estimate=estimate,
        lower=-math.inf if unlimited else estimate - half_width,
        upper=math.inf if unlimited else estimate + half_width,
        level=level,
        paired=False,
        n_treated=int(counts[weights > 0].sum()),
        n_control=int(counts[weights < 0].sum()),
        sd=sd,
        degrees_of_freedom=degrees_of_freedom or math.nan,
    )


# ---- Verdict on what is said of every run ---------------------------------------------------------------------------


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


def judge_every_run(chances: Sequence[float], p: float, minimum_seeds: int = 3, name: str = "the control") -> "Verdict":
    """Is it seen in every run? `chances`: of each run, the chance of seeing as much if there were nothing.

    "supported" if each is at most `p`; "contradicted" if one is not and the share's interval excludes 0.9, so that "every run"
    is no rounding of "nearly every run"; else "undecided". Fewer than `minimum_seeds` runs are "incomplete".
    """
    seen = sum(chance <= p for chance in chances)
    share = share_of_runs(seen, len(chances))
    direction: Direction = "undecided"
    if len(chances) < minimum_seeds:
        direction = "incomplete"
    elif seen == len(chances):
        direction = "supported"
    elif share.upper < 0.9:
        direction = "contradicted"
    because = {
        "supported": "in every one",
        "contradicted": "so not in every run",
        "undecided": "which may still be nearly every run",
        "incomplete": f"and {minimum_seeds} are needed",
    }[direction]
    why = (
        f"Seen at a chance of at most {p:g} in {seen} of {len(chances)} runs of {name} "
        f"(95% interval of the share {share.lower:.2f} to {share.upper:.2f}), {because}."
    )
    return Verdict(
        direction=direction,
        size="not judged",
        effect=share,
        reported=None,
        permutation_p=math.nan,
        permutation_floor=math.nan,
        log_rank_p=math.nan,
        more_seeds=max(0, minimum_seeds - len(chances)) if direction in ("incomplete", "supported") else None,
        why=why,
    )


# ---- Verdict on a claimed ratio -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim: a ratio of times ("treated takes `reported` times as long as control") or a difference."""

    direction: Direction
    size: Size
    effect: Ratio | Difference | Share  # with its 95% interval
    reported: float | None  # None where the paper gives a sign alone
    permutation_p: float
    permutation_floor: float
    log_rank_p: float  # NaN for a difference
    more_seeds: int | None  # per arm; 0 when nothing is open, None when more seeds cannot be said to decide what is
    why: str


def judge_ratio(
    treated: Times,
    control: Times,
    reported: float,
    no_effect_within: float,
    native: bool,
    minimum_seeds: int = 3,
    names: tuple[str, str] = ("the treated arm", "the control"),
) -> Verdict:
    """Do treated runs take longer than control runs, and about `reported` times as long?

    Direction: "supported" if the 95% interval lies above 1, "contradicted" if below; "no effect" if instead the 90%
    interval lies within [1/no_effect_within, no_effect_within] (two one-sided tests at 5%); else "undecided".
    Size, earned only by `native` runs, those on the paper's own data: "consistent" if the 90% interval lies within
    SIZE_BAND times the reported ratio, "smaller" or "larger" if beyond it, else "undecided".
    An arm of fewer than `minimum_seeds` runs, censored ones counted, is "incomplete".

    `more_seeds` is Stein's two-stage rule on the sd seen so far: how many more runs per arm shrink the 95% half width,
    on logs, to log(no_effect_within) for an open direction and to half the way from the estimate to the nearest edge
    of the band for an open size. It is a plan, not a promise: a ratio within no_effect_within of 1 is then decided
    about every other time. It is at least 1 while something is open, and None with fewer than 2 runs in an arm or
    where censoring hides the answer from any number of runs at this budget. Censored runs make the sd, and so the
    plan, too small.
    """
    assert reported > 0 and no_effect_within > 1 and minimum_seeds >= 2
    ratio, narrow = ratio_of_times(treated, control, 0.95), ratio_of_times(treated, control, 0.90)
    band = (SIZE_BAND[0] * reported, SIZE_BAND[1] * reported)

    direction: Direction = "undecided"
    size: Size = "undecided" if native else "not judged"
    if min(len(treated), len(control)) < minimum_seeds:
        direction, size = "incomplete", "not judged"
    elif ratio.lower > 1:
        direction = "supported"
    elif ratio.upper < 1:
        direction = "contradicted"
    elif 1 / no_effect_within <= narrow.lower and narrow.upper <= no_effect_within:
        direction = "no effect"
    if size == "undecided":
        if band[0] <= narrow.lower and narrow.upper <= band[1]:
            size = "consistent"
        elif narrow.upper < band[0]:
            size = "smaller"
        elif narrow.lower > band[1]:
            size = "larger"

    verdict = Verdict(
        direction=direction,
        size=size,
        effect=ratio,
        reported=reported,
        permutation_p=permutation_p(
            treated.restricted,
            control.restricted,
            generator=np.random.default_rng(2012),  # fixed: the same runs always give the same report
        ),
        permutation_floor=permutation_floor(len(treated), len(control)),
        log_rank_p=log_rank_p(treated, control),
        more_seeds=_more_seeds(ratio, direction, size, band, no_effect_within, minimum_seeds),
        why="",
    )
    return replace(verdict, why=_why(verdict, narrow, band, no_effect_within, minimum_seeds, names))


def _more_seeds(
    ratio: Ratio,
    direction: Direction,
    size: Size,
    band: tuple[float, float],
    no_effect_within: float,
    minimum_seeds: int,
) -> int | None:
    """Stein's rule for each open question; the larger answer."""
    n = min(ratio.n_treated, ratio.n_control)
    open_direction = direction in ("undecided", "incomplete")
    if not open_direction and size != "undecided":
        return 0
    if n < 2:
        return None

    half_widths = []
    if open_direction and _more_seeds_can_tell(ratio, 1, 1):
        half_widths.append(math.log(no_effect_within))
    if size == "undecided" and _more_seeds_can_tell(ratio, *band):
        to_edge = min(abs(math.log(ratio.estimate / edge)) for edge in band)
        half_widths.append(max(to_edge / 2, FINEST_HALF_WIDTH))
    if not half_widths:
        return None
    quantile = stats.t.ppf(0.975, ratio.degrees_of_freedom)
    needed = math.ceil(2 * (quantile * ratio.log_sd / min(half_widths)) ** 2)
    return max(1, needed - n, minimum_seeds - n)


def _more_seeds_can_tell(ratio: Ratio, low: float, high: float) -> bool:
    """A lower bound can only ever show that the ratio is above `high`, an upper bound that it is below `low`."""
    return {
        "exact": True,
        "at least": ratio.estimate > high,
        "at most": ratio.estimate < low,
        "unknown": False,
    }[ratio.bound]


def _why(
    verdict: Verdict,
    narrow: Ratio,
    band: tuple[float, float],
    no_effect_within: float,
    minimum_seeds: int,
    names: tuple[str, str],
) -> str:
    """The verdict and its numbers in one plain sentence."""
    ratio = verdict.effect
    if verdict.direction == "incomplete":
        return (
            f"Nothing is judged yet: {ratio.n_treated} runs of {names[0]} and {ratio.n_control} of {names[1]} are in, "
            f"and each needs {minimum_seeds}."
        )
    multiple = {
        "exact": f"{ratio.estimate:.3g} times",
        "at least": f"at least {ratio.estimate:.3g} times",
        "at most": f"at most {ratio.estimate:.3g} times",
        "unknown": "an unknown number of times",
    }[ratio.bound]
    runs = f"{ratio.n_treated} and {ratio.n_control} runs"
    if ratio.bound != "exact":
        runs += f", of which {ratio.censored_treated} and {ratio.censored_control} never arrived"
    narrow_interval = f"the 90% interval {narrow.lower:.3g} to {narrow.upper:.3g}"
    edges = f"{band[0]:.3g} to {band[1]:.3g}, the band around the reported {verdict.reported:.3g}"
    direction_because = {
        "supported": "which lies above 1",
        "contradicted": "which lies below 1",
        "no effect": f"and {narrow_interval} stays within {1 / no_effect_within:.3g} to {no_effect_within:.3g}",
        "undecided": "which decides neither for a direction nor for no effect",
    }[verdict.direction]
    size_because = {
        "consistent": f"{narrow_interval} lies within {edges}",
        "smaller": f"{narrow_interval} lies below {edges}",
        "larger": f"{narrow_interval} lies above {edges}",
        "undecided": f"{narrow_interval} is neither within nor beyond {edges}",
        "not judged": "proxy data earn no verdict on size",
    }[verdict.size]
    next_step = ""
    if verdict.more_seeds is None:
        next_step = "; more seeds cannot decide what is open at the present budget"
    elif verdict.more_seeds:
        next_step = f"; the next stage is {verdict.more_seeds} more per arm"
    return (
        f"{names[0][0].upper()}{names[0][1:]} took {multiple} as long as {names[1]} "
        f"(95% interval {ratio.lower:.3g} to {ratio.upper:.3g}; {runs}), "
        f"{direction_because}; {size_because}{next_step}."
    )


# ---- Verdict on a claimed difference --------------------------------------------------------------------------------


def judge_difference(
    treated: ArrayLike,
    control: ArrayLike,
    reported: float | None,
    expected: int,
    no_effect_within: float,
    native: bool,
    paired: bool = False,
    minimum_seeds: int = 3,
    names: tuple[str, str] = ("the treated arm", "the control"),
    unit: str = "points",
) -> Verdict:
    """Does treated differ from control in the `expected` direction (+1 or -1), and by about as much as `reported`?

    Arrays of shape (seeds,). Direction: "supported" if the 95% interval of treated minus control lies on the expected side
    of 0, "contradicted" if on the other; "no effect" if instead the 90% interval lies within +-no_effect_within (two
    one-sided tests at 5%); else "undecided". Size, for native runs where the paper gives one: "consistent" if the 90%
    interval lies within SIZE_BAND times the reported difference, "smaller" or "larger" if beyond it, else "undecided".
    `more_seeds`: Stein's two-stage rule for a 95% half width of no_effect_within (direction) and of half the way from the
    estimate to the nearest edge of the band (size).
    """
    assert expected in (-1, 1) and no_effect_within > 0 and minimum_seeds >= 2
    assert reported is None or reported * expected > 0, f"reported {reported} against expected sign {expected}"
    found, narrow = (difference(treated, control, level, paired) for level in (0.95, 0.90))
    n = min(found.n_treated, found.n_control)
    direction, size, band = _placed(found, narrow, reported, expected, no_effect_within, native, enough=n >= minimum_seeds)
    half_widths = []
    if direction in ("undecided", "incomplete"):
        half_widths.append(no_effect_within)
    if size == "undecided":
        half_widths.append(max(min(abs(expected * found.estimate - edge) for edge in band) / 2, 0.05 * abs(reported)))
    more: int | None = 0
    if half_widths and n < 2:
        more = None
    elif half_widths:
        quantile = stats.t.ppf(0.975, found.degrees_of_freedom)
        needed = math.ceil((1 if paired else 2) * (quantile * found.sd / min(half_widths)) ** 2)
        more = max(1, needed - n, minimum_seeds - n)
    p, generator = math.nan, np.random.default_rng(2012)  # fixed: the same runs always give the same report
    if paired:
        p = sign_flip_p(np.subtract(treated, control), generator)
    elif n:
        p = permutation_p(treated, control, logs=False, generator=generator)
    return Verdict(
        direction=direction,
        size=size,
        effect=found,
        reported=reported,
        permutation_p=p,
        permutation_floor=2.0 ** (1 - n) if paired and n else permutation_floor(found.n_treated, found.n_control),
        log_rank_p=math.nan,
        more_seeds=more,
        why=_why_difference(direction, size, found, narrow, band, no_effect_within, minimum_seeds, more, names, unit),
    )


def judge_over_images(
    estimate: float,
    standard_error: float,
    images: int,
    nets: int,
    reported: float | None,
    expected: int,
    no_effect_within: float,
    native: bool,
) -> Verdict:
    """Averaged nets minus the mean of the same nets alone, in points; the interval is over test images, nets held fixed.

    The same verdicts as judge_difference, from an estimate and its standard error; "incomplete" for no images.
    """
    found, narrow = (
        Difference(
            estimate=estimate,
            lower=estimate - (half := _half_width(standard_error**2, max(images - 1, 1), level)),
            upper=estimate + half,
            level=level,
            paired=True,
            n_treated=nets,
            n_control=nets,
            sd=standard_error * math.sqrt(images),
            degrees_of_freedom=images - 1,
        )
        for level in (0.95, 0.90)
    )
    direction, size, _ = _placed(found, narrow, reported, expected, no_effect_within, native, enough=images > 0)
    why = (
        f"{nets} nets averaged minus the same nets alone is {estimate:+.2f} points "
        f"(95% interval over {images:,} test images {found.lower:+.2f} to {found.upper:+.2f}; these nets alone)."
        if images
        else f"The probabilities of {nets} nets were not averaged yet."
    )
    return Verdict(
        direction=direction,
        size=size,
        effect=found,
        reported=reported,
        permutation_p=math.nan,
        permutation_floor=math.nan,
        log_rank_p=math.nan,
        more_seeds=0 if images else None,
        why=why,
    )


def _placed(
    found: Difference,
    narrow: Difference,
    reported: float | None,
    expected: int,
    no_effect_within: float,
    native: bool,
    enough: bool,
) -> tuple[Direction, Size, tuple[float, float]]:
    """Direction and size by where the 95% and the 90% interval lie, and the band around the reported size."""
    low, high = sorted((expected * narrow.lower, expected * narrow.upper))  # as if an increase were expected
    direction: Direction = "undecided"
    size: Size = "undecided" if native and reported is not None else "not judged"
    if not enough:
        direction, size = "incomplete", "not judged"
    elif min(expected * found.lower, expected * found.upper) > 0:
        direction = "supported"
    elif max(expected * found.lower, expected * found.upper) < 0:
        direction = "contradicted"
    elif -no_effect_within <= low and high <= no_effect_within:
        direction = "no effect"
    band = tuple(share * abs(reported) for share in SIZE_BAND) if reported is not None else (math.nan, math.nan)
    if size == "undecided":
        if band[0] <= low and high <= band[1]:
            size = "consistent"
        elif high < band[0]:
            size = "smaller"
        elif low > band[1]:
            size = "larger"
    return direction, size, band


def _why_difference(direction, size, found, narrow, band, no_effect_within, minimum_seeds, more, names, unit) -> str:
    """The verdict and its numbers in one plain sentence."""
    if direction == "incomplete":
        runs = (
            f"{found.n_treated} runs"
            if found.paired
            else f"{found.n_treated} runs of {names[0]} and {found.n_control} of {names[1]}"
        )
        return f"Nothing is judged yet: {runs} are in, and {minimum_seeds}{' of each' * (not found.paired)} are needed."
    because = {
        "supported": "which lies on the paper's side of 0",
        "contradicted": "which lies on the other side of 0",
        "no effect": f"and the 90% interval {narrow.lower:+.2f} to {narrow.upper:+.2f} stays within {no_effect_within:g} of 0",
        "undecided": "which decides neither for a direction nor for no effect",
    }[direction]
    sized = {
        "consistent": f"; the 90% interval lies within {band[0]:.2g} to {band[1]:.2g}, the band around the reported size",
        "smaller": f"; the 90% interval lies below {band[0]:.2g}, half the reported size",
        "larger": f"; the 90% interval lies above {band[1]:.2g}, half more than the reported size",
        "undecided": f"; on size the 90% interval {narrow.lower:+.2f} to {narrow.upper:+.2f} decides nothing",
        "not judged": "",
    }[size]
    next_step = f"; the next stage is {more} more per arm" if more else ""
    how = "paired by seed" if found.paired else f"{found.n_treated} and {found.n_control} runs"
    return (
        f"{names[0][0].upper()}{names[0][1:]} minus {names[1]} is {found.estimate:+.2f} {unit} "
        f"(95% interval {found.lower:+.2f} to {found.upper:+.2f}; {how}), {because}{sized}{next_step}."
    )
