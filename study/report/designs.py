"""Describes factorial designs in words: what one is, which effects are aliased, and what effects are averaged over."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.counted import counted
from study.judge.contrasts import Contrast
from study.questions.claim import Claim
from study.questions.designs import Design, EffectGroup, Term
from study.questions.rules import Factorial
from study.report.phrases import NO_INTERVAL

FEW = 7
"""Up to this many aliases of an effect are listed; of more, only the number is given."""
OFF_BUT = {
    "signal-kept": "other initial weights keep the size of the signal",
    "factor-only": "no unit is dropped, but outputs are still halved, as in the code of 2012",
}
"""What is not as if a part had never been there, by the end of the name of an arm that takes it out."""
OFF_ALTOGETHER = "part is taken out altogether, and nothing makes up for what it did to the size of the signal"
SIZES = {1: "part", 2: "pair", 3: "triple", 4: "quadruple"}


def arm_name(claim: Claim, label: str, is_whole: bool = False) -> str:
    """Return what an arm is called in pictures and tables: its label. In a factorial design labels name the parts that are off,
    and a word in front says so: "without norm+overlap", "without all 8 parts". `is_whole`: name all parts also then."""
    rule = claim.rule
    if not isinstance(rule, Factorial) or label == rule.control:
        return label
    parts = label.split("+")
    return f"{rule.off} {label if is_whole or len(parts) < len(rule.design.factors) else f'all {len(parts)} parts'}"


def effect_name(group: EffectGroup, off: str = "without") -> str:
    """Return text such as "without norm" (`off` is the first word), or a group's pairs, "norm x overlap = decay x bias"."""
    return group.name if group.parts > 1 else f"{off} {group.name}"


def alias_words(group: EffectGroup) -> str:
    """Return the aliases of more parts, such as "7 triples (overlap x dropout x crossing, ...)"; "-" without any."""
    each = f" ({', '.join(map(_term, group.aliases))})" if len(group.aliases) <= FEW else ""
    return f"{alias_counts(group)}{each}" if group.aliases else "-"


def alias_counts(group: EffectGroup) -> str:
    """Return how many aliases of more parts there are, such as "7 triples"; empty without any."""
    sizes = [len(term) for term in group.aliases]
    return ", ".join(_count(sizes.count(size), size) for size in sorted(set(sizes)))


def _term(term: Term) -> str:
    return " x ".join(term)


def _count(number: int, size: int) -> str:
    name = SIZES.get(size, f"effect of {size} parts")
    return counted(number, name, "" if size in SIZES else f"effects of {size} parts")


def how_off(claim: Claim, claims: Mapping[str, Claim]) -> str:
    """Return how the parts of a design are taken out: "without dropout" means one thing where no unit is dropped and outputs
    are still halved, and another where nothing is left of it. Found by the arms of other `claims` that change the same fields;
    a part that no other claim takes out so is not mentioned. Empty where off is another variant of the part."""
    rule = claim.rule
    if not isinstance(rule, Factorial) or rule.off != Factorial.off:
        return ""
    found = {part: {label for _, label in arms_without(claim, part, claims)} for part in rule.design.factors}
    sentences = []
    for end, words in OFF_BUT.items():
        if parts := [part for part, labels in found.items() if any(label.endswith(end) for label in labels)]:
            sentences.append(f"Without {_either(parts)} {words} ({end}).")
    if all(found.values()):
        others = "other part is taken out altogether" if sentences else OFF_ALTOGETHER
        sentences.append(f"Every {others}.")
    return " ".join(sentences)


def arms_without(claim: Claim, part: str, claims: Mapping[str, Claim]) -> list[tuple[Claim, str]]:
    """Return the arms of other `claims`, each with its claim, that make the changes which a design makes to take out a part."""
    cells = [arm for arm in claim.arms if part in arm.label.split("+")]
    changes = (
        _in_all([arm.diff for arm in cells]),
        {base: _in_all([arm.also.get(base, {}) for arm in cells]) for base in claim.bases},
    )
    return [
        (other, arm.label)
        for other in claims.values()
        if not isinstance(other.rule, Factorial)
        for arm in other.arms
        if (dict(arm.diff), {base: dict(arm.also.get(base, {})) for base in claim.bases}) == changes
    ]


def _in_all(diffs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the changes that all of these make: no two parts of a design change the same field."""
    return {name: value for name, value in diffs[0].items() if all(name in diff for diff in diffs)}


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def margin_words(claim: Claim, claims: Mapping[str, Claim]) -> str:
    """Return when an effect of a design matters, and that the claims about its parts have margins of their own."""
    rule, unit = claim.rule, claim.measure.unit
    assert isinstance(rule, Factorial), "only a factorial has effects of a design"
    matters = f"An effect matters where its 95% interval excludes 0 and its size is over {rule.no_effect_within:g} {unit}"
    alone = sorted(
        {
            other.rule.smallest_effect
            for part in rule.design.factors
            for other, _ in arms_without(claim, part, claims)
            if other.measure == claim.measure and other.rule.smallest_effect
        }
    )
    if not alone:
        return f"{matters}."
    own = f"{alone[0]:g}" if len(alone) == 1 else f"{alone[0]:g} to {alone[-1]:g}"
    return (
        f"{matters}. That margin was fixed with the design and is one for all its effects; the claims that take out one part "
        f"alone have their own ({own} {unit})."
    )


def design_name(design: Design) -> str:
    """Return text such as "2^(8-4), resolution IV"; a full design has no resolution."""
    cells, parts = len(design.cells) + 1, len(design.factors)
    left_out = parts - (cells.bit_length() - 1)
    if not left_out:
        return f"2^{parts}, all combinations"
    assert design.resolution, "a fraction has a defining word"
    return f"2^({parts}-{left_out}), resolution {_roman(design.resolution)}"


def combinations(design: Design) -> str:
    """Return text such as "16 of the 256 combinations of 8 parts", or "all 16 combinations of 4 parts"."""
    parts, cells = len(design.factors), len(design.cells) + 1
    return (
        f"{cells} of the {2**parts} combinations of {parts} parts"
        if cells < 2**parts
        else f"all {cells} combinations of {parts} parts"
    )


def _roman(number: int) -> str:
    return {2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII", 8: "VIII"}.get(number, str(number))


def design_words(design: Design) -> str:
    """Explain what a factorial design is and how to read this one, for readers who do not know any."""
    name = f" ({design_name(design)})" if design.resolution else ""
    sentences = [
        f"A factorial design switches several parts off at once: here {combinations(design)}{name}.",
        "Every effect uses every run: the error where a part is off minus the error where it is on, averaged over the other "
        "parts, each of which is off in half of the runs. That is another question than the paper's, which takes one part out "
        "of the whole network.",
        "The effect of a pair is half of how much more one part does where the other is off too.",
    ]
    if together := _pairs_together(design):
        sentences.append(together)
    return " ".join(sentences)


def _pairs_together(design: Design) -> str:
    resolution = design.resolution
    if resolution is None:
        return "Nothing is aliased: each effect has its own number."
    pairs = [group for group in design.groups if group.parts == 2]
    shared = [len(group.terms) for group in pairs if len(group.terms) > 1]
    clear = sum(len(group.terms) == 1 for group in pairs)
    if resolution == 3:
        return "Main effects are aliased with pairs: the number of a part contains the effects of pairs."
    if not shared:
        return "Main effects and pairs are not aliased with one another, but with effects of three parts or more."
    sizes = f"{min(shared)}" if min(shared) == max(shared) else f"{min(shared)} to {max(shared)}"
    first = f"the {sum(shared)} pairs"
    if clear:
        first = f"{counted(clear, 'pair')} {'is' if clear == 1 else 'are'} clear of every other pair, the others"
    return (
        "These runs cannot separate all effects. They separate the effect of one part from those of pairs of parts, but not "
        f'from those of triples; {first} come in {len(shared)} groups of {sizes}, joined by "=". Only the sum of a group is '
        "known: where it is not 0, these runs do not show which of its pairs causes it."
    )


def contrast_words(effect: Contrast, unit: str) -> str:
    """Return text such as "+1.42 points [0.31, 2.53]"."""
    if effect.estimate != effect.estimate:
        return "no number yet"
    bounds = f"[{effect.lower:.2f}, {effect.upper:.2f}]" if effect.standard_error > 0 else NO_INTERVAL
    return f"{effect.estimate:+.2f} {unit} {bounds}"


def blocks_words(effect: Contrast, cells: int) -> str:
    """Return the runs that a design's effects use: "48 runs in 3 blocks (a block is a seed on a machine ...)"."""
    text = (
        f"{effect.blocks * cells} runs in {counted(effect.blocks, 'block')} (a block is a seed on a machine for which all "
        f"{cells} cells have a result"
    )
    if effect.left_out:
        left_out = counted(effect.left_out, "further block")
        return f"{text}; {left_out} without results of all cells {'is' if effect.left_out == 1 else 'are'} left out)"
    return f"{text})"


def plan_lines(design: Design) -> list[str]:
    """Return the lines of a design for a terminal: its name, then a line for each effect that has aliases."""
    lines = [f"Design: {design_name(design)}, {len(design.cells) + 1} cells; effects are averaged over the other parts"]
    for group in design.groups:
        if len(group.terms) > 1 or group.aliases:
            more = f"  (aliased with {alias_words(group)})" if group.aliases else ""
            lines.append(f"  {group.name}{more}")
    return lines
