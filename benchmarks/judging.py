"""Simulate the rule that judges claims: coverage, errors over looks, power, times, failed runs. Writes benchmarks/judging.md.

The code is separate: it imports nothing from study/judge. The numbers show which spending of alpha the rule should use.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from alexnet.files import write_atomically
from benchmarks import judging_families as made
from benchmarks import judging_rule as rule
from benchmarks import judging_times as timed
from benchmarks.judging_families import MARGIN, SPENDINGS, Plan, World

PAGE = Path(__file__).parent / "judging.md"
SEED = 17_000_000
LOOKS = (3, 6, 9, 12)
TIMES = tuple(n / LOOKS[-1] for n in LOOKS)
RHOS = (0.0, 0.4, 0.8)
SPREADS = (("equal", "normal"), ("het", "normal"), ("wide", "normal"), ("chi2", "normal"), ("equal", "t4"))
NULL = np.zeros(made.CLAIMS)
MIX = np.random.default_rng(SEED).permutation(np.repeat([0.0, 0.5, 1.0, 2.0], (8, 4, 4, 4)))
PRINTED = {  # in the project's notes on statistics; `levels` is compared with them
    "t^1.5": {1: "0.00625 0.0135 0.0218 0.0316", 5: "0.00125 0.00257 0.00399 0.00559", 20: "0.000313 0.000624 0.00094 0.00129"},
    "O'Brien-Fleming": {
        1: "1.47e-05 0.00305 0.0183 0.044",
        5: "3.95e-08 0.000144 0.00233 0.00924",
        20: "2.17e-10 1e-05 0.000385 0.00237",
    },
}
Section = Callable[[int], list[str]]


def main(arguments: list[str]) -> int:
    """Run `python -m benchmarks judging` and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks judging", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the families, printed and not written")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", help="these parts; the others stay as they were")
    args = parser.parse_args(arguments)
    started = time.monotonic()
    for name in args.only or SECTIONS:
        families, section = SECTIONS[name]
        lines = section(families // 10 if args.quick else families)
        print("\n".join(lines), f"\n({time.monotonic() - started:.0f} s)\n", flush=True)
        if not args.quick:
            page = PAGE.read_text() if PAGE.exists() else HEAD
            write_atomically(PAGE, put(page, lines).encode())
    return 0


def put(page: str, part: list[str]) -> str:
    """Return the page with one part replaced, or appended if it is new. Parts begin with their titles."""
    head, *parts = page.rstrip("\n").split("\n\n## ")
    by_title = {f"## {old}".split("\n")[0]: f"## {old}" for old in parts}
    by_title[part[0]] = "\n".join(part)
    return "\n\n".join([head, *by_title.values()]) + "\n"


def table(title: str, text: str, head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"## {title}",
        "",
        text,
        "",
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def share_words(hits: made.Floats) -> str:
    """Return a share with two standard errors, as text."""
    mean, error = made.share(hits)
    return f"{mean:.4f} +-{2 * error:.4f}"


def percent(value: float, places: int = 1) -> str:
    return f"{100 * value:.{places}f}"


def levels(_: int) -> list[str]:
    rows = []
    for name, spending in SPENDINGS.items():
        for divisor, printed in PRINTED[name].items():
            ours = rule.levels(np.array([0.05 / divisor]), TIMES, spending)[0]
            rows.append([name, str(divisor), " ".join(f"{c:.3g}" for c in ours), printed])
        one_sided = rule.levels(np.array([0.10]), TIMES, spending)[0] / 2
        rows.append([name, "no effect, one-sided", " ".join(f"{c:.3g}" for c in one_sided), ""])
    text = (
        "Nominal two-sided levels at looks 3, 6, 9, 12 for alpha = 0.05 divided by Holm's divisor, by our recursion and as "
        "printed."
    )
    return table("Nominal levels", text, ["spending", "divisor", "ours", "printed"], rows)


def coverage(families: int) -> list[str]:
    rows = []
    cells = [(n, control) for n in (3, 5, 8, 12) for control in (n, 2 * n)] + [(3, 5), (6, 10), (9, 15), (12, 20)]
    for spreads in ("equal", "wide", "chi2"):
        for n, control in sorted(cells):
            row = [World(spreads).name, f"{n} / {control}"]
            found = [made.coverage(World(spreads, rho), n, control, families, SEED + 1) for rho in RHOS]
            for name in ("rule", "Welch"):
                cover = [f[name] for f in found]
                worst = " ".join(percent(c.worst) for c in cover) if spreads == "wide" else ""
                row += [" ".join(percent(c.mean) for c in cover), worst, " ".join(f"{c.half_width:.2f}" for c in cover)]
            rows.append([*row, percent(2 * max(f["rule"].error for f in found), 2)])
    text = (
        f"95% intervals of {families:,} families of {made.CLAIMS} claims, in percent and standard deviations of the control, "
        "for rho 0, 0.4, 0.8. Worst: the arm with the lowest coverage, where arms differ in a fixed way. Last column: "
        "two standard errors."
    )
    head = ["spreads", "arm / control", "rule: covers", "worst", "half width", "Welch: covers", "worst", "half width", "+-"]
    return table("Coverage and width of one look", text, head, rows)


def family_wise(families: int) -> list[str]:
    return _family_wise(
        "Family-wise error over all looks",
        families,
        {name: Plan(spending=spending, stopping=False) for name, spending in SPENDINGS.items()},
        "no claim stops before the last look, the worst case of stopping",
    )


def hardest(families: int) -> list[str]:
    return _family_wise(
        "Family-wise error in the two hardest worlds",
        families,
        {name: Plan(spending=spending, stopping=False) for name, spending in SPENDINGS.items()},
        "no claim stops before the last look; other random numbers than above",
        [World("wide", 0.8), World("het", 0.8)],
        SEED + 1_000_000,
    )


def family_wise_stopping(families: int) -> list[str]:
    return _family_wise(
        "Family-wise error, decided claims stopping",
        families,
        {name: Plan(spending=spending) for name, spending in SPENDINGS.items()},
        f'a claim stops once it is decided, also as "no effect" (within {MARGIN} standard deviations)',
    )


def _family_wise(
    title: str,
    families: int,
    plans: dict[str, Plan],
    text: str,
    worlds: Sequence[World] = tuple(World(spreads, rho, noise) for spreads, noise in SPREADS for rho in RHOS),
    seed: int = SEED + 2,
) -> list[str]:
    rows = []
    for world in worlds:
        found = made.over_families(world, plans, NULL, families, seed)
        rows.append([world.name, f"{world.rho:g}", *(share_words((np.abs(v.word) == 1).any(-1)) for v in found.values())])
    text = (
        f"Chance that one of {made.CLAIMS} true nulls is ever called an effect; looks 3, 6, 9, 12, control 5, 10, 15, 20; "
        f"{text}. {families:,} families, +- two standard errors."
    )
    return table(title, text, ["spreads", "rho", *plans], rows)


def rivals(families: int) -> list[str]:
    twice = tuple(2 * n for n in LOOKS)
    plans = {
        "control x2, t^1.5": Plan(control=twice, stopping=False),
        "control x2, O'Brien-Fleming": Plan(control=twice, spending=rule.obrien_fleming, stopping=False),
        "own variances, t^1.5": Plan(most=0, stopping=False),
        "prior variance by limited degrees, t^1.5": Plan(capped=True, stopping=False),
        "the same, O'Brien-Fleming": Plan(capped=True, spending=rule.obrien_fleming, stopping=False),
        "looks not counted": Plan(spending=None, stopping=False),
        "Welch, control x1, looks not counted": Plan(control=LOOKS, spending=None, stopping=False, paired=False),
    }
    text = (
        "each column says how its rule differs; no claim stops before the last look. Looks not counted: Holm at 5% at each "
        "look, as before"
    )
    return _family_wise("Family-wise error of other rules", families, plans, text)


def margin(families: int) -> list[str]:
    plans = {name: Plan(spending=spending) for name, spending in SPENDINGS.items()}
    rows = []
    for spreads, noise in SPREADS:
        for rho in RHOS:
            world = World(spreads, rho, noise)
            found = made.over_families(world, plans, np.full(made.CLAIMS, MARGIN), families, SEED + 4)
            rows.append([world.name, f"{rho:g}", *(share_words((v.word == 2).mean(-1)) for v in found.values())])
    text = f'Chance, for each claim, of the finding "no effect" if the effect is exactly the margin; {families:,} families.'
    return table('False "no effect" at the margin', text, ["spreads", "rho", *plans], rows)


def power(families: int) -> list[str]:
    plans = {name: Plan(spending=spending) for name, spending in SPENDINGS.items()}
    rows = []
    for spreads, noise in (("equal", "normal"), ("chi2", "normal")):
        for rho in RHOS:
            world = World(spreads, rho, noise)
            for name, v in made.over_families(world, plans, MIX, families, SEED + 5).items():
                right = [(v.word == 1)[:, size == MIX] for size in (0.5, 1.0, 2.0)]
                wrong = (np.abs(v.word) == 1)[:, MIX == 0].any(-1) | (v.word == -1)[:, MIX > 0].any(-1)
                missed = (v.word == 2)[:, MIX == 2.0].mean()
                one = v.estimate[:, MIX == 1.0][right[1]]
                seeds = [f"{v.seeds[:, size == MIX].mean():.1f}" for size in (0.0, 0.5, 1.0, 2.0)]
                early = v.covered[v.seeds < LOOKS[-1]]
                rows.append(
                    [
                        world.name, f"{rho:g}", name, " ".join(percent(r.mean(), 0) for r in right),
                        percent((v.word == 2)[:, MIX == 0].mean(), 0), " ".join(seeds), f"{v.seeds.mean():.2f}",
                        f"{(v.word != 0).sum(-1).mean():.1f}", share_words(wrong), percent(missed, 2),
                        f"{percent(v.covered.mean())} / {percent(early.mean())}", f"{one.mean() - 1:+.2f}",
                    ]
                )  # fmt: skip
    text = (
        f"8 claims with no effect, 4 each with 0.5, 1 and 2 standard deviations; {families:,} families, control 5, 10, 15, 20. "
        "Too large by: mean error of the estimates where an effect of 1 was found."
    )
    head = [
        "spreads", "rho", "spending", "found at .5 1 2, %", "no effect at 0, %", "seeds at 0 .5 1 2", "mean", "decided of 20",
        "a false effect", "no effect at 2, %", "covers: all / stopped early", "too large by",
    ]  # fmt: skip
    return table("What is found, and when", text, head, rows)


def times(families: int) -> list[str]:
    rows = []
    for spread in (1.0, 2.0):
        for n in (3, 4, 5, 6, 8, 12):
            for censored in (0.0, 0.2, 0.5):
                if spread == 2.0 and (n not in (3, 5, 8, 12) or censored == 0.2):
                    continue
                row = [str(n), f"{spread:g}", percent(censored, 0)]
                found = [timed.rejected(timed.Times(n, rho, censored, 0.0, spread), families, SEED + 6) for rho in RHOS]
                rows.append([*row, *(" ".join(percent(f[test].mean()) for f in found) for test in timed.TESTS)])
    error = 200 * np.sqrt(0.05 * 0.95 / families)
    text = (
        "How often a true ratio of 1 is called a difference at 5%, in percent, for rho 0, 0.4, 0.8; log-normal times of n "
        f"pairs, {families:,} repeats, +-{error:.1f}. Spread: of the arm's logarithms over the control's; where it is 2 and "
        "some runs do not arrive, the restricted times truly differ, but the medians do not. By seed: each pair is a stratum."
    )
    return table("Times as ratios: level", text, ["n", "spread", "not arrived, %", *timed.TESTS], rows)


def times_power(families: int) -> list[str]:
    rows = []
    for n in (5, 8, 12):
        for censored in (0.0, 0.2):
            for shift in (1.0, 2.0):
                found = [timed.rejected(timed.Times(n, rho, censored, shift), families, SEED + 7) for rho in RHOS]
                cells = (" ".join(percent(f[test].mean(), 0) for f in found) for test in timed.TESTS)
                rows.append([str(n), percent(censored, 0), f"{shift:g}", *cells])
    text = (
        f"How often a true ratio is found at 5%, in percent; shift in standard deviations of a logarithm; {families:,} repeats."
    )
    return table("Times as ratios: power", text, ["n", "control not arrived, %", "shift", *timed.TESTS], rows)


def failures(families: int) -> list[str]:
    rows = []
    cells = [("both alike", (q, q), 0.0) for q in (0.1, 0.4)]
    cells += [("arm alone", (0.4, 0.0), effect) for effect in (0.0, -1.0, 1.0)]
    for what, failing, effect in cells:
        for n, control in ((3, 5), (6, 10), (9, 15), (12, 20)):
            row = [what, f"{percent(failing[0], 0)}", f"{effect:g}", f"{n} / {control}"]
            for rho in (0.0, 0.8):
                row += _failed(World("equal", rho, failing=failing), n, control, effect, families)
            rows.append(row)
    text = (
        "Runs that diverged have the worst place in an exact rank test, which decides if a run of either arm failed; "
        f"otherwise the paired t test decides. {families:,} families, one look. Cells: at 5% / at 0.25% (Holm's first of 20), "
        "in percent of claims, found worse and found better than the control. Survivors' t: Welch on runs that did not fail."
    )
    head = ["fails", "%", "survivors' effect", "arm / control"]
    head += [
        f"rho {rho:g}: {what}" for rho in (0.0, 0.8) for what in ("some run failed", "worse", "better", "survivors' t, either")
    ]
    return table("Failed runs: one look", text, head, rows)


def _failed(world: World, n: int, control: int, effect: float, families: int) -> list[str]:
    some, worse, better, naive = [], [], [], []
    for generator, size in made.generators(SEED + 8, families):
        arms, base = world.draw(generator, size, n, control)
        arms = arms + effect
        failed = np.isinf(arms).any(-1) | np.expand_dims(np.isinf(base).any(-1), -1)
        with np.errstate(invalid="ignore"):
            found = rule.parts(arms, base)
            p = rule.p_difference(found.estimate, *rule.error_of(found))
        ranks, sign = rule.p_ranks(arms, base)
        p, sign = np.where(failed, ranks, p), np.where(failed, sign, np.sign(found.estimate))
        some.append(failed.mean())
        for kept, direction in ((worse, 1), (better, -1)):
            kept.append([((p <= a) & (sign == direction)).mean() for a in (0.05, 0.0025)])
        naive.append([(_survivors(arms, base) <= a).mean() for a in (0.05, 0.0025)])
    cells = [" / ".join(percent(x) for x in np.mean(kept, 0)) for kept in (worse, better, naive)]
    return [percent(float(np.mean(some)), 0), *cells]


def _survivors(arms: made.Floats, base: made.Floats) -> made.Floats:
    """Return p of Welch's test on the runs that did not fail; 1 if an arm has fewer than two."""
    arms, base = (
        np.where(np.isinf(x), np.nan, x) for x in (arms, np.broadcast_to(base[:, None], (*arms.shape[:2], base.shape[-1])))
    )
    counts = [np.isfinite(x).sum(-1) for x in (arms, base)]
    enough = np.minimum(*counts) >= 2
    means, squares = [], []
    for x, count in zip((arms, base), counts, strict=True):
        mean = np.nansum(x, -1) / np.maximum(count, 1)
        means.append(mean)
        squares.append(np.nansum((x - mean[..., None]) ** 2, -1) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    total = squares[0] + squares[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = total**2 / sum(s**2 / np.maximum(c - 1, 1) for s, c in zip(squares, counts, strict=True))
        return np.where(enough, rule.p_difference(means[0] - means[1], np.sqrt(total), freedom), 1.0)


def failing_families(families: int) -> list[str]:
    plans = {name: Plan(spending=spending, stopping=False) for name, spending in SPENDINGS.items()}
    rows = []
    for spreads in ("equal", "wide", "chi2"):
        for share in (0.1, 0.4):
            for rho in (0.0, 0.8):
                world = World(spreads, rho, failing=(share, share))
                found = made.over_families(world, plans, NULL, families, SEED + 9)
                cells = (share_words((np.abs(v.word) == 1).any(-1)) for v in found.values())
                rows.append([world.name, percent(share, 0), f"{rho:g}", *cells])
    text = (
        "No claim has an effect; every arm and the control lose this share of their runs; all looks are taken; "
        f"{families:,} families."
    )
    return table("Failed runs: family-wise error over all looks", text, ["spreads", "fail, %", "rho", *plans], rows)


HEAD = f"""# The rule that judges claims, simulated

Made by `python -m benchmarks judging` (benchmarks/judging_rule.py holds the rule, written independently of study/judge). The
seeds of the random numbers are {SEED} and up. A family is {made.CLAIMS} claims that share one control; spreads are in
standard deviations of a control run; rho is the correlation of two arms at one seed.

What the tables show:

- With the control at 5, 10, 15, 20 seeds, both ways of spending keep the family-wise error within 5% in every world, over all
  looks. t^1.5 decides sooner; O'Brien-Fleming finds more by the last look. If the control has twice the arms' seeds, t^1.5
  has about 5.4% (+-0.6) in three worlds.
- This holds only if the prior variance is computed with the degrees of freedom that the spreads show, and the limit of 2
  applies only to its weight. If the limit is applied earlier, the variance is too small by a factor of down to 0.56. Then
  neither way of spending is within 5% everywhere, and intervals of 3 seeds cover 94.6% instead of 96.7%.
- With own variances, as in families of fewer than {rule.FEWEST} comparisons, the error over all looks is 5 to 6%. A likely
  cause: the levels assume Brownian motion and ignore few degrees of freedom. With ranks the error is up to 6% where spreads
  differ and a tenth of the runs fails.
- Times: the paired t test on logs keeps its level under censoring and needs only 3 seeds. Log-rank by seed is a sign test:
  its normal approximation errs (12% at 4 seeds, 7% at 8), and its exact form decides nothing below 6 seeds at 5%. Log-rank
  without strata errs 10% at 3 seeds where runs share nothing. Where spreads differ, restricted times differ even if medians
  do not."""
SECTIONS: dict[str, tuple[int, Section]] = {
    "levels": (1, levels),
    "coverage": (2000, coverage),
    "family-wise": (40000, family_wise),
    "hardest": (100000, hardest),
    "stopping": (6000, family_wise_stopping),
    "rivals": (6000, rivals),
    "margin": (2000, margin),
    "power": (3000, power),
    "times": (10000, times),
    "times-power": (10000, times_power),
    "failures": (1000, failures),
    "failing-families": (4000, failing_families),
}
"""Parts by name: the number of families, and the function that makes the table."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
