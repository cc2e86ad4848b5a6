"""Summarizes all findings: how each stands, how many there are of each kind, and the sections of the paper."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from study.counted import counted
from study.judge.family import Finding
from study.judge.intervals import Difference, Effect, Ratio, Share
from study.plan.fixed_rules import looks_of
from study.questions.claim import Claim
from study.questions.looks import Looks
from study.questions.rules import Alike
from study.report import phrases

SECTIONS = {
    1.0: "Introduction",
    2.0: "The dataset",
    3.0: "The architecture",
    3.1: "ReLU nonlinearity",
    3.2: "Training on multiple GPUs",
    3.3: "Local response normalization",
    3.4: "Overlapping pooling",
    3.5: "Overall architecture",
    4.0: "Reducing overfitting",
    4.1: "Data augmentation",
    4.2: "Dropout",
    5.0: "Details of learning",
    6.0: "Results",
    6.1: "Qualitative evaluations",
    7.0: "Discussion",
}
"""The paper's own headings, by number."""
GLOSSARY = {
    "arm": 'one version of the network, such as "without dropout"; the control is the arm that it is compared with.',
    "base": "the network whose parts the arms change, such as ALEXNET_32: AlexNet cut to images of 32 pixels.",
    "scale": "which images, how many of them, and for how many epochs they are trained on.",
    "regime": "one of two scales with the same images that are compared: many images for few epochs, or few for many.",
    "seed": "the number that decides a run's random draws. Arms are compared in pairs of runs with one seed on one machine.",
    "block": "the runs with one seed on one machine. What seed and machine do to all arms alike cancels in a difference.",
    "look": "a judgement of a claim after a fixed number of seeds. The first look that decides counts.",
    "margin": 'the smallest effect that matters for a claim. "No effect" means: the effect is shown to be smaller than this.',
    "alone": "decided by the claim's own test, but not after the correction for all claims of its scale (Holm's correction).",
    "finally": 'after "undecided": the last look was taken and did not decide.',
    "replication": 'a finding run again on fresh seeds, by a rule fixed before: "seen again" or "not confirmed".',
    "reading": "the same claim asked in another way, such as dropout switched off instead of taken out. It decides nothing.",
    "signal-kept": (
        "a reading. Taking a part out also changes the size of the signal. In this arm other initial weights make up for that, "
        "so that only the part differs."
    ),
    "factor-only": "a reading: dropout switched off as in the code of 2012. No unit is dropped, but outputs are still halved.",
    "gap": "test error minus training error, in points: how far a network overfits.",
    "proxy": "images that stand in for the paper's. The direction of an effect is judged, its size is not.",
    "n": phrases.N_MEANS,
}
"""Words with a special meaning here. This is the only list of them: docs/ and the README link to it in the report."""
STRICT = (
    "Each look and each claim is one more chance to be wrong. So the tests are stricter: at most one study in twenty finds an "
    "effect where there is none, over all looks and all claims of a scale. This holds for directions only: 'no effect' is "
    "tested claim by claim, each at 5%."
)
ABOUT = {
    "replications": (
        "A finding that passes an early test is too large on average, and among many claims one may pass by chance. So "
        "some findings were run again, in pairs of runs on seeds that no run had used. The arms, the seeds and the "
        'direction were fixed before the first of these runs, where the column "fixed in" says. (A rule that stands in '
        "preregistration.md was put into replications.json later, when some or all of its runs had been made; nothing of "
        "it was changed. Checks that were made before there were such rules have no row here; planned-and-done.md tells them.) "
        'Only these pairs count here, and they change no verdict. "Seen again": with the stated '
        "confidence (one-sided t bound of the differences between the two runs of each seed) the effect is on the side of"
        ' the finding. "Not confirmed": it is not shown to be, which is no proof of the opposite. "Incomplete": pairs are'
        " missing, and nothing is computed before all are there."
    ),
    "regimes": (
        'Two verdicts alone do not show it: "supported" and "no effect" may come from two numbers that hardly differ. So '
        "each effect at one scale is compared with the same effect at another scale of the same images, by all runs of "
        "both, which are more than the verdicts use. p is two-sided, by Welch's t test, with Holm's correction over the "
        "rows. This table was planned after its runs were seen. It decides nothing."
    ),
    "other_errors": (
        "A claim names one error, and its verdict is about that error. Here the runs of each verdict are compared by all "
        "errors that they have, each with its own spread alone. All numbers are in points, the changed network minus the "
        "control; gap is the test error of one view minus the training error. The answer can depend on the error: a "
        "network may fit its training images much better and have the same test error, and ten views can hide what one "
        "view shows. This table was planned after the runs were seen; nothing in it is corrected, and it decides nothing."
    ),
    "spreads": (
        "Two runs differ for several reasons. Each row is one of them, as a standard deviation in points of error: the "
        "arm; the seed, in what it does to all arms alike (comparing pairs with one seed removes this); the rest, which "
        "differs from run to run; and the choice of test images, where the answers of the runs were kept."
    ),
}
"""What is said above the tables that compare findings, by table."""
VERDICTS = ("supported", "contradicted", "no effect", "supported alone", "contradicted alone", "undecided")
"""How a judged claim can stand, in the order of the report. "Alone": decided by its own p value, but open when all claims are
counted."""


def section_words(finding: Finding) -> str:
    """Return text such as "3.3 Local response normalization"; "not in the paper" for a question that is not the paper's."""
    number = finding.claim.section
    if math.isinf(number):
        return "not in the paper"
    return f"{number:g} {SECTIONS[number]}" if number in SECTIONS else f"section {number:g}"


def standing(finding: Finding) -> str:
    """Return one of VERDICTS; for a claim that was not judged its direction, such as "incomplete"."""
    return f"{finding.verdict.alone} alone" if finding.verdict.alone else finding.word


def by_standing(found: Sequence[Finding]) -> str:
    """Count findings by how they stand: "5 supported, 3 supported alone, 12 undecided"; "nothing was judged" without any."""
    counts = Counter(map(standing, found))
    others = sorted(set(counts) - set(VERDICTS))
    return ", ".join(f"{counts[word]} {word}" for word in (*VERDICTS, *others) if counts[word]) or "nothing was judged"


def tested(found: Sequence[Finding]) -> list[Finding]:
    """Return the findings that test a claim. Only they count: a design that claims nothing has no verdict."""
    return [finding for finding in found if finding.claim.rule.is_tested]


def outcome_words(found: Sequence[Finding]) -> str:
    """Return all findings in a sentence, such as "20 findings: 5 supported, 15 undecided.", for readers who do not see the
    picture."""
    asked = tested(found)
    return f"{counted(len(asked), 'finding')}: {by_standing(asked)}."


def counts_words(found: Sequence[Finding], claims: Mapping[str, Claim]) -> str:
    """Explain how the numbers of claims, of claims asked at a scale, of findings and of table rows belong together."""
    asked = tested(found)
    if not asked:
        return ""
    tests = [claim for claim in claims.values() if claim.rule.is_tested]
    of_paper = sum(claim.is_of_the_paper for claim in tests)
    beyond = f"; we also ask {counted(len(tests) - of_paper, 'question')} of our own" if len(tests) > of_paper else ""
    family = {finding.scale: finding.claims_in_family for finding in asked if finding.in_family}
    at = Counter(finding.scale for finding in asked)
    extra = sum(not finding.in_family for finding in asked)
    sentences = [
        f"The paper makes {counted(of_paper, 'claim')} that can be tested here{beyond}.",
        f"Each scale tests those that suit it: {_listed(family)}." if family else "",
        f"A finding is the result for one claim, on one network, at one scale: {_listed(at)}"
        + (f", {len(asked)} in all" if len(at) > 1 else "")
        + (f" ({extra} of them on an extra question, which is not in the count of its scale)." if extra else "."),
    ]
    return " ".join(filter(None, sentences))


def _listed(counts: Mapping[str, int]) -> str:
    """Return text such as "23 at cifar10-jpeg, 18 at cifar10-jpeg-2500"."""
    return ", ".join(f"{count} at {name}" for name, count in counts.items())


def looks_words(found: Sequence[Finding]) -> str:
    """Return after how many seeds looks are taken, such as "3, 6, 9 and 12 seeds of an arm"; by scale where these differ."""
    scales: dict[Looks, list[str]] = defaultdict(list)
    for scale, rule in {finding.scale: finding.rule for finding in found}.items():
        scales[looks_of(rule)].append(scale)
    by_looks = {looks: f"{', '.join(map(str, looks.arms[:-1]))} and {looks.arms[-1]} seeds of an arm" for looks in scales}
    return "; ".join(
        words + (f" at {', '.join(scales[looks])}" if len(by_looks) > 1 else "") for looks, words in by_looks.items()
    )


def on_paper_line(finding: Finding, other: Effect | None = None) -> tuple[float, float, float, float] | None:
    """Return the estimate, both ends of its interval and the paper's number (NaN where it gives only a direction), on a line on
    which claims of different units compare: no effect is 0, the paper's expectation is above 0, and 1 is the smallest effect
    that matters here.

    Ratios enter as logarithms. A share enters as it is: the paper's "every run" is 1. For two numbers that should be alike, 1
    is the largest allowed difference, and the paper's statement lies between -1 and 1. Of a ratio of which nothing is known, as
    runs of both arms never arrived, only the paper's number is not NaN. None where there is no number. `other`: take this
    effect, not the verdict's.
    """
    effect, claim = other or finding.verdict.effect, finding.claim
    if not math.isfinite(effect.estimate):
        return None
    if isinstance(effect, Share):
        return effect.estimate, effect.lower, effect.upper, 1.0
    assert isinstance(effect, Ratio | Difference)
    expected, reported = getattr(claim.rule, "expected", 1), claim.reported.value
    margin = claim.rule.within if isinstance(claim.rule, Alike) else claim.rule.smallest_effect or claim.largest_margin
    is_ratio = isinstance(effect, Ratio)
    line = effect.on_line(expected)
    unit = math.log(margin) if is_ratio else margin
    paper = math.nan if reported is None else math.log(reported) if is_ratio else expected * reported
    if is_ratio and effect.bound == "unknown":
        return math.nan, math.nan, math.nan, paper / unit
    return line.estimate / unit, line.lower / unit, line.upper / unit, paper / unit
