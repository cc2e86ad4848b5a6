"""Tests for ratios of times to a target: does pairing by seed keep its level, and how many seeds does it need to decide?

Times are log-normal and observed up to a budget; pairs of runs share a seed. Stratified by seed, the log-rank test has one pair
in each stratum, so it only counts which arm arrived first: it is the sign test.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from benchmarks.judging_families import generators
from benchmarks.judging_rule import Flags, Floats, p_difference

TESTS = (
    "paired t on logs",
    "Welch on logs",
    "log-rank",
    "log-rank by seed, normal",
    "log-rank by seed, exact",
    "sign flips on logs",
)


@dataclass(frozen=True)
class Times:
    """Pairs of times. `shift` and `spread` of the arm's logarithms are in standard deviations of the control's."""

    n: int
    rho: float
    censored: float  # share of the control's runs that do not reach the target within the budget
    shift: float = 0.0
    spread: float = 1.0

    def draw(self, generator: np.random.Generator, families: int) -> tuple[Floats, Floats, float]:
        """Draw the logarithms of (treated, control) times, (F, n) each, and of the budget. A run that did not arrive has the
        budget."""
        luck, *own = generator.standard_normal((3, families, self.n))
        treated, control = (np.sqrt(self.rho) * luck + np.sqrt(1 - self.rho) * noise for noise in own)
        budget = special.ndtri(1 - self.censored) if self.censored else np.inf
        return np.minimum(self.shift + self.spread * treated, budget), np.minimum(control, budget), budget


def p_log_rank(treated: Floats, control: Floats, budget: float) -> Floats:
    """Return p of the unstratified log-rank test by the normal approximation, (F,); NaN if no run arrived. Times tie only at
    the budget."""
    times = np.concatenate([treated, control], -1)
    order = times.argsort(-1, kind="stable")
    arm = order < treated.shape[-1]
    arrives = np.take_along_axis(times, order, -1) < budget
    at_risk = np.arange(times.shape[-1], 0, -1)
    of_arm = arm[:, ::-1].cumsum(-1)[:, ::-1]
    part = of_arm / at_risk
    surplus = (arrives * (arm - part)).sum(-1)
    variance = (arrives * part * (1 - part)).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * special.ndtr(-np.abs(surplus) / np.sqrt(variance))


def p_by_seed(treated: Floats, control: Floats) -> tuple[Floats, Floats]:
    """Return p of the log-rank test with one stratum a seed: (normal approximation, exact), (F,); 1 if no pair decides."""
    won, lost = (treated < control).sum(-1), (treated > control).sum(-1)
    decided = won + lost
    with np.errstate(invalid="ignore"):
        normal = 2 * special.ndtr(-np.abs(won - lost) / np.sqrt(decided))
    exact = np.minimum(1, 2 * stats.binom.cdf(np.minimum(won, lost), decided, 0.5))
    return np.where(decided == 0, 1.0, normal), np.where(decided == 0, 1.0, exact)


def p_sign_flips(differences: Floats) -> Floats:
    """Return the exact p over all signs of the differences (F, n): how often the sum is at least as far from 0."""
    n = differences.shape[-1]
    signs = 1.0 - 2 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)  # the other half mirrors these
    sums = np.abs(differences @ signs.T)
    return (sums >= sums[:, :1] - 1e-12).mean(-1)


def p_values(treated: Floats, control: Floats, budget: float) -> dict[str, Floats]:
    n, differences = treated.shape[-1], treated - control
    with np.errstate(invalid="ignore", divide="ignore"):
        error = differences.std(-1, ddof=1) / np.sqrt(n)
        paired = p_difference(differences.mean(-1), error, np.array(n - 1.0))
        first, second = treated.var(-1, ddof=1) / n, control.var(-1, ddof=1) / n
        freedom = (first + second) ** 2 * (n - 1) / (first**2 + second**2)
        welch = p_difference(differences.mean(-1), np.sqrt(first + second), freedom)
    found = (paired, welch, p_log_rank(treated, control, budget), *p_by_seed(treated, control), p_sign_flips(differences))
    return dict(zip(TESTS, found, strict=True))


def rejected(times: Times, families: int, seed: int, alpha: float = 0.05) -> dict[str, Flags]:
    """Return, by test, in which families it finds a difference. A p value that cannot be computed finds none."""
    chunks = [p_values(*times.draw(generator, size)) for generator, size in generators(seed, families)]
    return {name: np.concatenate([np.nan_to_num(p[name], nan=1.0) <= alpha for p in chunks]) for name in TESTS}
