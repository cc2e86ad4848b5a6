"""The method of docs/statistics.md in numbers: intervals, looks, Holm's correction, verdicts.

`make recompute` judges the tables with it. It shares no code with study/judge, and each function names the section of the page
that it follows. Numbers in, numbers out: tools/second_looks.py chooses the runs."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special, stats

Block = tuple[str, int]
"""Machine and seed. The runs that two arms have in a block are a pair."""
ERROR = 0.05
"""Of all looks together, and for directions of all claims of a scale together."""
DEALS = 20_000
"""Of kernels to two columns, at random."""
QUADRATURE = np.polynomial.legendre.leggauss(80)
"""Nodes and weights, from -1 to 1."""


# ---- Intervals -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """An effect on the line on which it is judged, on which 0 is no effect. "What is compared": points, or the logarithm of a
    ratio of times."""

    estimate: float
    standard_error: float  # NaN where it is not known
    degrees: float  # of freedom
    bound: str = "exact"  # of times: "at least", "at most" or "unknown" where runs never arrived

    def limits(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval, Student's t. "The interval", Standard error. "Exactly", Bounds: an open end is infinite."""
        half = float(stats.t.ppf((1 + level) / 2, self.degrees)) * self.standard_error
        half = half if math.isfinite(half) else math.inf
        lower = -math.inf if self.bound in ("at most", "unknown") else self.estimate - half
        upper = math.inf if self.bound in ("at least", "unknown") else self.estimate + half
        return lower, upper

    def p_of_direction(self, side: int) -> float:
        """Return the two-sided p value of no effect; 1 if the estimate is on the other side. "The verdicts". "Exactly", Bounds:
        a bound is evidence for its own side alone."""
        allowed = ("exact", "at least") if side > 0 else ("exact", "at most")
        if not self.standard_error > 0 or side * self.estimate <= 0 or self.bound not in allowed:
            return 1.0
        return float(2 * stats.t.sf(abs(self.estimate) / self.standard_error, self.degrees))

    def p_beyond(self, margin: float) -> float:
        """Return the one-sided p value of an effect beyond the margin, by two one-sided tests. "The verdicts"."""
        if not self.standard_error > 0 or self.bound != "exact":
            return 1.0
        return float(stats.t.sf((margin - abs(self.estimate)) / self.standard_error, self.degrees))


@dataclass(frozen=True)
class Pairs:
    """Two arms, pair by pair. "The interval", Weight."""

    differences: np.ndarray  # treated minus control, the larger arm's run with its weight
    alone: np.ndarray  # the larger arm's runs without a partner
    weight: float  # of the larger arm's run in a pair
    larger: int  # 1 if the treated arm is the larger one, -1 if the control is


@dataclass(frozen=True)
class Others:
    """What the other comparisons of a measure say about the spread. "The interval", Spread."""

    variance: float = math.nan  # the square of s0
    degrees: float = 0.0  # d0


def paired(treated: Mapping[Block, float], control: Mapping[Block, float]) -> Pairs:
    """Pair two arms block by block. "The interval", Weight. "What is compared", Several machines: a single
    run without a partner is left out."""
    both = [block for block in treated if block in control]
    larger = 1 if len(treated) > len(control) else -1
    alone = [value for block, value in (treated if larger > 0 else control).items() if block not in both]
    alone = alone if len(alone) > 1 else []
    weight = (1 + len(both) / (len(both) + len(alone))) / 2 if both else 1.0
    of_treated, of_control = (weight, 1.0) if larger > 0 else (1.0, weight)
    differences = [of_treated * treated[block] - of_control * control[block] for block in both]
    return Pairs(np.array(differences), np.array(alone), weight, larger)


def variance_of(values: np.ndarray) -> float:
    """Return the square of the standard deviation. "The interval", Spread. Differences beyond the tenth decimal are noise of
    the arithmetic: equal values vary by nothing."""
    return float(np.round(values - values[0], 10).var(ddof=1)) if len(values) > 1 else math.nan


def effect_of(pairs: Pairs, others: Others, bound: str = "exact") -> Effect:
    """Return the effect with its standard error. "The interval", Both combined and Standard error."""
    n, own = len(pairs.differences), variance_of(pairs.differences)
    estimate = float(pairs.differences.mean()) if n else math.nan
    if len(pairs.alone):
        estimate += pairs.larger * (1 - pairs.weight) * float(pairs.alone.mean())
    if n < 2:
        return Effect(estimate, math.nan, math.nan, bound)
    degrees, combined = n - 1 + others.degrees, own
    if others.degrees:
        combined = max(own, (others.degrees * others.variance + (n - 1) * own) / degrees)
    parts, of_each = [combined / n], [degrees]
    if len(pairs.alone):
        parts.append((1 - pairs.weight) ** 2 * variance_of(pairs.alone) / len(pairs.alone))
        of_each.append(len(pairs.alone) - 1)
    if not sum(parts) > 0:  # a spread of nothing is no certainty
        return Effect(estimate, math.nan, math.nan, bound)
    together = sum(parts) ** 2 / sum(part**2 / count for part, count in zip(parts, of_each, strict=True))  # Satterthwaite
    return Effect(estimate, math.sqrt(sum(parts)), together, bound)


def mean_of(values: Sequence[float]) -> Effect:
    """Return the mean with a one-sample t interval. "What is compared", Differences within a run."""
    return effect_of(Pairs(np.array(values, dtype=float), np.array([]), 1.0, -1), Others())


def spread_of_others(spreads: Sequence[tuple[float, float]]) -> Others:
    """Return s0 and d0 from the variance and the degrees of freedom of each comparison.

    "The interval", Spread and Both combined: the moments of the logarithms of variances (Smyth 2004). "Exactly", Whose spreads:
    s0 is computed with the degrees of freedom that the spreads show, and only then their weight is limited to 2."""
    spreads = [(variance, degrees) for variance, degrees in spreads if degrees >= 2 and variance > 0]
    if len(spreads) < 8:
        return Others()
    variances, degrees = np.array(spreads).T
    logs = np.log(variances) - special.digamma(degrees / 2) + np.log(degrees / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, degrees / 2).mean())
    if excess <= 1e-6:  # they vary no more than chance lets equal spreads vary
        return Others(math.exp(logs.mean()), 2.0)
    log_half = root_of(lambda log: float(special.polygamma(1, math.exp(log))) - excess, -20.0, 20.0)
    shown = 2 * math.exp(log_half)
    variance = math.exp(float(logs.mean()) + float(special.digamma(shown / 2)) - math.log(shown / 2))
    return Others(variance, min(2.0, shown))


def root_of(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function is 0."""
    return float(optimize.root_scalar(function, bracket=(low, high), method="brentq", xtol=1e-12).root)


# ---- Looks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """In how many runs something was seen. "What is compared", Every run shows it."""

    seen: int
    runs: int

    def limits(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of Clopper and Pearson. "Exactly", Every run shows it."""
        interval = stats.binomtest(self.seen, self.runs).proportion_ci(level, method="exact")
        return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Look:
    """A claim after a number of seeds, or after all runs. "What a look is"."""

    number: int  # 0: all runs
    effects: Mapping[str, Effect | Share]  # by compared arm
    p_supported: float = 1.0
    p_contradicted: float = 1.0
    p_no_effect: float = 1.0
    shown: Mapping[str, str] | None = None  # by verdict: the arm whose number is shown, where there are several

    @property
    def p(self) -> float:
        """The p value of no effect: that of the better direction. "The verdicts"."""
        return min(self.p_supported, self.p_contradicted)


def look_at(number: int, effects: Mapping[str, Effect], expected: int, margin: float) -> Look:
    """Return a look from the effect of each arm. "The interval", Several arms: for "supported" the largest p counts, for the
    others the smallest times the number of arms. "Exactly", Several arms: which of them is shown."""
    supported = {arm: effect.p_of_direction(expected) for arm, effect in effects.items()}
    contradicted = {arm: effect.p_of_direction(-expected) for arm, effect in effects.items()}
    nothing = {arm: effect.p_beyond(margin) for arm, effect in effects.items()}
    # Of several arms with the same p, for example 1, the one that is the least as expected.
    least_as_expected = max(effects, key=lambda arm: (supported[arm], -expected * effects[arm].estimate))
    arms = {
        "supported": least_as_expected,
        "contradicted": min(contradicted, key=lambda arm: contradicted[arm]),
        "no effect": min(nothing, key=lambda arm: nothing[arm]),
    }
    p_values = {
        "supported": supported[least_as_expected],
        "contradicted": min(1.0, len(effects) * min(contradicted.values())),
        "no effect": min(1.0, len(effects) * min(nothing.values())),
    }
    smallest = min(p_values, key=lambda verdict: p_values[verdict])
    return Look(
        number,
        effects,
        p_supported=p_values["supported"],
        p_contradicted=p_values["contradicted"],
        p_no_effect=p_values["no effect"],
        shown={**arms, "undecided": arms[smallest], "incomplete": arms[smallest]},
    )


@functools.cache
def needed_p(error: float, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Return the two-sided p value that each look needs so that all looks together err with the probability `error`.

    "What a look is", The error is spread over the looks (Lan and DeMets 1983): at the share t of all seeds the error t^1.5
    may be spent. Without an effect the sum of the differences is a Brownian motion in t. Its density among the paths that no
    earlier look has stopped is carried from look to look on the nodes of a Gauss-Legendre quadrature."""
    nodes, weights = QUADRATURE
    found: list[float] = []
    at, density, before = np.zeros(1), np.ones(1), 0.0  # the motion begins at 0
    for share in shares:
        step, spend = math.sqrt(share - before), error * (share**1.5 - before**1.5)
        edge = _edge(at, density, step, spend, most=40 * math.sqrt(share))
        found.append(float(2 * special.ndtr(-edge / math.sqrt(share))))
        moved = stats.norm.pdf((edge * nodes[None, :] - at[:, None]) / step) / step
        at, density, before = edge * nodes, density @ moved * edge * weights, share
    return tuple(found)


def _edge(at: np.ndarray, density: np.ndarray, step: float, spend: float, most: float) -> float:
    """Return the edge that the motion passes in its next step, on either side, with the probability `spend`."""

    def too_likely(edge: float) -> float:
        beyond = special.ndtr((at - edge) / step) + special.ndtr((-at - edge) / step)
        return math.log(float(density @ beyond) + 1e-300) - math.log(spend)

    return root_of(too_likely, 0.0, most)


@functools.cache
def over_the_looks(p: float, look: int, shares: tuple[float, ...]) -> float:
    """Return the p value over the looks: the smallest error of all looks together with which `p` is enough at this one.

    "What a look is", The error is spread over the looks."""
    if not p < 1 or len(shares) == 1:
        return p
    if look == 1:  # nothing was spent before
        return min(1.0, p / shares[0] ** 1.5)

    def too_little(log_error: float) -> float:
        return math.log(needed_p(math.exp(log_error), shares[:look])[-1]) - math.log(p)

    largest = math.log(0.999)
    if too_little(largest) < 0:
        return 1.0
    return math.exp(root_of(too_little, max(math.log(p) - 1, -690.0), largest))


# ---- Verdicts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What a claim's looks say. "The verdicts"."""

    direction: str
    look: Look  # the reported one
    taken: int  # its number; 0 if none is complete
    arm: str  # whose effect is shown
    p: float = math.nan  # over the looks
    holm_p: float = math.nan
    p_no_effect: float = math.nan  # over the looks
    alone: str | None = None


def smallest_p(looks: Sequence[Look], shares: tuple[float, ...], upto: int = 99) -> float:
    """Return the smallest p value of no effect over the looks up to one. "Exactly", Which p."""
    return min((over_the_looks(look.p, look.number, shares) for look in looks if look.number <= upto), default=math.nan)


def smallest_p_no_effect(looks: Sequence[Look], shares: tuple[float, ...], upto: int = 99) -> float:
    """Return the smallest p value of an effect beyond the margin over the looks up to one.

    "The interval", No effect over the looks: it is doubled before it is spread over the looks, and halved after."""
    values = [(look.p_no_effect, look.number) for look in looks if look.number <= upto]
    spread = [over_the_looks(2 * p, number, shares) / 2 if p < 0.5 else p for p, number in values]
    return min(spread, default=math.nan)


def holm(p: float, others: Sequence[float]) -> float:
    """Return the p value among those of the other claims, by Holm's correction. "What a look is", Many claims at once."""
    ordered = sorted([p, *others])
    reached = [(len(ordered) - place) * value for place, value in enumerate(ordered) if value <= p]
    return min(1.0, max(reached))  # a smaller p of another claim cannot end above this one


def decide(looks: Sequence[Look], all_runs: Look, shares: tuple[float, ...], others: Sequence[float]) -> Verdict:
    """Return the verdict: the first look that decides, else the last one. "The verdicts" and "What a look is".

    `others`: the smallest p value of each other claim of the family. `all_runs`: shown if no look is complete."""
    verdict = Verdict("incomplete", all_runs, 0, _arm(all_runs, "incomplete"))
    for look in looks:
        p = smallest_p(looks, shares, look.number)
        nothing = smallest_p_no_effect(looks, shares, look.number)
        so_far = [one for one in looks if one.number <= look.number]
        best = min(so_far, key=lambda one: over_the_looks(one.p, one.number, shares))
        side = "supported" if best.p_supported <= best.p_contradicted else "contradicted"
        corrected = holm(p, others)
        direction = side if corrected <= ERROR else "no effect" if nothing <= ERROR else "undecided"
        alone = side if direction == "undecided" and p <= ERROR else None
        verdict = Verdict(direction, look, look.number, _arm(look, direction), p, corrected, nothing, alone)
        if direction != "undecided":
            break
    return verdict


def _arm(look: Look, direction: str) -> str:
    return look.shown[direction] if look.shown else next(iter(look.effects), "")


# ---- Other measures and rules ----------------------------------------------------------------------------------------


def arrival(epochs: np.ndarray, errors: np.ndarray, level: float) -> float | None:
    """Return when the error first reached the level; None if it never did. "What is compared": a time is interpolated between
    the epochs before and after, if the one before was measured."""
    reached = np.flatnonzero(errors <= level)
    if not reached.size:
        return None
    after = reached[0]
    if after == 0 or math.isnan(errors[after - 1]):
        return float(epochs[after])
    part = (errors[after - 1] - level) / (errors[after - 1] - errors[after])
    return float(epochs[after - 1] + part * (epochs[after] - epochs[after - 1]))


def every_run(number: int, arm: str, shows: Sequence[bool], power: float, p: float = ERROR) -> Look:
    """Return a look of a claim that every run should show. "What is compared" and "Exactly", Every run shows it."""
    seen, runs = sum(shows), len(shows)
    look = Look(number, {arm: Share(seen, runs)})
    if runs and seen == runs:
        return replace(look, p_supported=p**runs)
    if runs and power >= 0.8:
        return replace(look, p_contradicted=min(1.0, 2 * float(stats.binom.cdf(seen, runs, power))))
    return look


def colour_shares(kernels: Sequence) -> np.ndarray:
    """Return the share of colour of each kernel, in percent. "Exactly", Every run shows it."""
    weights = np.array(kernels, dtype=float)  # [kernels, colours, side, side]
    off_grey = weights - weights.mean(axis=1, keepdims=True)
    return 100 * (off_grey**2).sum(axis=(1, 2, 3)) / (weights**2).sum(axis=(1, 2, 3))


def columns_differ(shares: np.ndarray) -> np.ndarray:
    """Return how much the mean shares of two columns differ. "What is compared", Every run shows it. Shape [..., kernels]; the
    first half of the kernels is one column."""
    half = shares.shape[-1] // 2
    return np.abs(shares[..., :half].mean(axis=-1) - shares[..., half:].mean(axis=-1))


def by_random_deals(shares: np.ndarray, matters: float, p: float) -> dict[str, float]:
    """Return what chance alone gives, and the power to see a difference that matters. "What is compared" and "Exactly", Every
    run shows it. The deals are this program's own, so that these numbers differ a little from the study's."""
    difference = columns_differ(shares)
    dealt = columns_differ(np.random.default_rng(1).permuted(np.tile(shares, (DEALS, 1)), axis=1))
    edge, seen = np.quantile(dealt, 1 - p), stats.norm(matters, math.sqrt((dealt**2).mean()))
    return {
        "difference": float(difference),
        "chance": float((1 + (dealt >= difference - 1e-9).sum()) / (1 + DEALS)),
        "by chance": float(dealt.mean()),
        "power": float(seen.sf(edge) + seen.cdf(-edge)),
    }


def effects_of_design(cells: Mapping[str, Mapping[Block, float]], names: Sequence[str]) -> tuple[dict[str, Effect], int]:
    """Return each effect of a design, and the number of blocks that have all cells. "Designs that ask several parts at once".

    "Exactly", Designs. `cells`: the values of each arm, which is named by the parts that are out, joined by "+". `names`: of
    the effects, of several parts joined by " x "."""
    blocks = [block for block in next(iter(cells.values())) if all(block in cell for cell in cells.values())]
    values = np.array([[cell[block] for block in blocks] for cell in cells.values()])
    error, degrees = math.nan, (len(cells) - 1) * max(0, len(blocks) - 1)
    if degrees > 0:
        left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
        error = 2 * math.sqrt(float((left**2).sum()) / degrees / values.size)
    means = values.mean(axis=1) if blocks else np.full(len(cells), math.nan)

    def estimate(name: str) -> float:
        # A part counts 1 where it is out, -1 where it is in; of several parts the product.
        signs = [math.prod(1 if part in arm.split("+") else -1 for part in name.split(" x ")) for arm in cells]
        return 2 * float(np.array(signs) @ means) / len(cells)

    return {name: Effect(estimate(name), error, degrees) for name in names}, len(blocks)
