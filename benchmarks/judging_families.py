"""Synthetic families of claims that share one control, and the rule's verdicts on them: coverage, errors over looks, power."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from benchmarks import judging_rule as rule
from benchmarks.judging_rule import Flags, Floats, Spending, Whole

CLAIMS = 20
CHUNK = 2000  # families at once
MARGIN = 1.25  # 0.5 point where the spread of a run is 0.4
ALPHA = 0.05
SPENDINGS: dict[str, Spending] = {"t^1.5": rule.power_15, "O'Brien-Fleming": rule.obrien_fleming}


@dataclass(frozen=True)
class World:
    """The distribution of runs. The control's standard deviation is 1."""

    spreads: str = "equal"  # of the arms: "equal", "wide" (0.4 to 2.5), "het" (0.5 to 2.2), "chi2" (inverse, 2.7 df)
    rho: float = 0.0  # correlation of two arms at one seed
    noise: str = "normal"  # or "t4", scaled to the same standard deviation
    failing: tuple[float, float] = (0.0, 0.0)  # share of runs that diverge, of arms and of the control

    @property
    def name(self) -> str:
        spread = {"equal": "equal", "wide": "0.4-2.5, half share luck", "het": "0.5-2.2, half share luck"}
        words = [spread.get(self.spreads, "inverse chi2, 2.7 df"), *(["t4 noise"] if self.noise == "t4" else [])]
        return ", ".join(words)

    def draw(self, generator: np.random.Generator, families: int, n: int, control: int) -> tuple[Floats, Floats]:
        """Draw (arms (F, K, n), control (F, N)). All means are 0; a run that diverged is +inf."""

        def noise(*shape: int) -> Floats:
            if self.noise == "t4":
                return generator.standard_t(4, shape) / np.sqrt(2)
            return generator.standard_normal(shape)

        luck = noise(families, control)
        spread, shared = np.ones(CLAIMS), np.full(CLAIMS, self.rho)
        if self.spreads in ("wide", "het"):
            spread = np.geomspace(*((0.4, 2.5) if self.spreads == "wide" else (0.5, 2.2)), CLAIMS)
            shared = np.where(np.arange(CLAIMS) % 2 == 0, self.rho, 0.0)
        elif self.spreads == "chi2":
            spread = np.sqrt(2.7 / generator.chisquare(2.7, (families, CLAIMS)))[..., None]
            shared = shared[:, None]
        if spread.ndim == 1:
            spread, shared = spread[:, None], shared[:, None]
        own = noise(families, CLAIMS, n)
        arms = spread * (np.sqrt(shared) * luck[:, None, :n] + np.sqrt(1 - shared) * own)
        base = np.sqrt(self.rho) * luck + np.sqrt(1 - self.rho) * noise(families, control)
        if any(self.failing):
            arms[generator.random(arms.shape) < self.failing[0]] = np.inf
            base[generator.random(base.shape) < self.failing[1]] = np.inf
        return arms, base


def generators(seed: int, families: int):
    """Return a generator and a number of families for each chunk."""
    sizes = [min(CHUNK, families - start) for start in range(0, families, CHUNK)]
    children = np.random.SeedSequence(seed).spawn(len(sizes))
    return [(np.random.default_rng(child), size) for child, size in zip(children, sizes, strict=True)]


# ---- Coverage of one look ---------------------------------------------------------------------------------------------


@dataclass
class Coverage:
    """The share of intervals that contain the true effect, for all claims and for the worst arm; and the mean half width."""

    mean: float
    worst: float
    half_width: float
    error: float  # standard error of `mean`, over families


def coverage(world: World, n: int, control: int, families: int, seed: int) -> dict[str, Coverage]:
    """Return the coverage of the 95% intervals of the rule and of Welch."""
    held: dict[str, list[Floats]] = {"rule": [], "Welch": []}
    widths: dict[str, list[float]] = {"rule": [], "Welch": []}
    for generator, size in generators(seed, families):
        arms, base = world.draw(generator, size, n, control)
        found = rule.parts(arms, base)
        for name, (estimate, error, freedom) in {
            "rule": (found.estimate, *rule.error_of(found)),
            "Welch": rule.welch(arms, base),
        }.items():
            half = special.stdtrit(freedom, 0.975) * error
            held[name].append(np.abs(estimate) <= half)
            widths[name].append(float(half.mean()))
    result = {}
    for name, chunks in held.items():
        inside = np.concatenate(chunks)
        of_family = inside.mean(-1)
        result[name] = Coverage(
            float(inside.mean()),
            float(inside.mean(0).min()),
            float(np.mean(widths[name])),
            float(of_family.std(ddof=1) / np.sqrt(len(of_family))),
        )
    return result


# ---- Looks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """A plan of looks: the seeds of an arm and of the control at each look, how alpha is spent, and whether decided claims
    stop."""

    seeds: tuple[int, ...] = (3, 6, 9, 12)
    control: tuple[int, ...] = (5, 10, 15, 20)
    spending: Spending | None = rule.power_15  # None: 5% at every look, without correction for looks
    stopping: bool = True  # a decided claim gets no more seeds; False: every claim takes every look, the worst for errors
    most: float = 2.0  # prior degrees of freedom
    capped: bool = False  # the prior variance uses the limited degrees of freedom, see judging_rule.prior
    paired: bool = True  # False: Welch

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(n / self.seeds[-1] for n in self.seeds)


@dataclass
class Verdicts:
    """The outcome of each claim. All have shape (F, K)."""

    word: Whole  # 1: effect above 0, -1: below, 2: no effect, 0: undecided
    seeds: Whole  # of the arm, at the decision or at the last look
    estimate: Floats  # at that look
    covered: Flags  # is the true effect in that look's ordinary 95% interval? Only set if claims stop


def judged(plan: Plan, arms: Floats, base: Floats, effects: Floats, margin: float = MARGIN) -> Verdicts:
    """Apply the whole rule to families of runs (F, K, n) and (F, N) at the largest look. The true `effects` are added to the
    arms.

    If a run of either arm failed (+inf), ranks decide the direction, and "no effect" is impossible.
    """
    arms = arms + effects[..., None]
    shape = arms.shape[:2]
    word, seeds = np.zeros(shape, dtype=int), np.full(shape, plan.seeds[-1])
    estimate, covered = np.zeros(shape), np.zeros(shape, dtype=bool)
    variance, freedom = np.ones(shape), np.ones(shape)
    p_effect, p_none = np.ones(shape), np.ones(shape)
    steps = rule.ladder(plan.times, plan.spending) if plan.spending else None
    for look, (n, big) in enumerate(zip(plan.seeds, plan.control, strict=True)):
        runs, control = arms[..., :n], base[:, :big]
        open_ = word == 0
        failed = np.isinf(runs).any(-1) | np.expand_dims(np.isinf(control).any(-1), -1)
        with np.errstate(invalid="ignore"):
            if plan.paired:
                found = rule.parts(runs, control)
                variance, freedom = np.where(open_, found.variance, variance), np.where(open_, n - 1.0, freedom)
                now, (error, df) = (
                    found.estimate,
                    rule.error_of(replace(found, variance=variance), plan.most, capped=plan.capped),
                )
            else:
                now, error, df = rule.welch(runs, control)
        p, none, inside = rule.p_difference(now, error, df), np.ones(shape), np.ones(shape, dtype=bool)
        if plan.stopping:
            none = rule.p_no_effect(now, error, df, margin)
            inside = rule.p_difference(now - effects, error, df) >= ALPHA
        sign = np.sign(now)
        if failed.any():
            ranks, direction = rule.p_ranks(runs, control)
            p, none = np.where(failed, ranks, p), np.where(failed, 1.0, none)
            sign, now, inside = np.where(failed, direction, sign), np.where(failed, np.nan, now), inside | failed
        if steps is None:
            p_effect, p_none = np.where(open_, p, p_effect), np.where(open_, none, p_none)
        else:
            p_effect = np.where(open_, np.minimum(p_effect, steps.overall(p, look)), p_effect)
            p_none = np.where(open_, np.minimum(p_none, steps.overall(2 * none, look) / 2), p_none)
        effect = open_ & (rule.holm(p_effect) <= ALPHA)
        decided = effect | (open_ & (p_none <= ALPHA) & plan.stopping)
        word = np.where(effect, sign.astype(int), np.where(decided, 2, word))
        last = open_ & (decided | (n == plan.seeds[-1]))
        seeds, estimate, covered = (np.where(last, new, old) for new, old in ((n, seeds), (now, estimate), (inside, covered)))
    return Verdicts(word, seeds, estimate, covered)


def over_families(world: World, plans: dict[str, Plan], effects: Floats, families: int, seed: int) -> dict[str, Verdicts]:
    """Return the verdicts of every plan on the same families."""
    chunks: dict[str, list[Verdicts]] = {name: [] for name in plans}
    for generator, size in generators(seed, families):
        most = [max(getattr(plan, field)[-1] for plan in plans.values()) for field in ("seeds", "control")]
        arms, base = world.draw(generator, size, most[0], most[1])
        for name, plan in plans.items():
            chunks[name].append(judged(plan, arms, base, effects))
    fields = ("word", "seeds", "estimate", "covered")
    return {name: Verdicts(*(np.concatenate([getattr(v, f) for v in found]) for f in fields)) for name, found in chunks.items()}


def share(hits: Floats) -> tuple[float, float]:
    """Return a share and its standard error, from the `hits` (F,) of independent families."""
    return float(hits.mean()), float(hits.std(ddof=1) / np.sqrt(len(hits)))
