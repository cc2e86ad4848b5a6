"""Describes factorial designs in words: what one is, which effects are aliased, and what effects are averaged over."""

from study.counted import counted
from study.judge.contrasts import Contrast
from study.questions.claim import Claim
from study.questions.designs import Design, EffectGroup, Term
from study.questions.rules import Factorial
from study.report.phrases import NO_INTERVAL

FEW = 7
"""Up to this many aliases of an effect are listed; of more, only the number is given."""
SIZES = {1: "part", 2: "pair", 3: "triple", 4: "quadruple"}


def arm_name(claim: Claim, label: str) -> str:
    """Return what an arm is called in pictures and tables: its label. In a factorial design labels name the parts that are off,
    and a word in front says so: "without norm+overlap", "without all 8 parts"."""
    rule = claim.rule
    if not isinstance(rule, Factorial) or label == rule.control:
        return label
    parts = label.split("+")
    return f"{rule.off} {label if len(parts) < len(rule.design.factors) else f'all {len(parts)} parts'}"


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


def design_name(design: Design) -> str:
    """Return text such as "2^(8-4), resolution IV"; a full design has no resolution."""
    cells, parts = len(design.cells) + 1, len(design.factors)
    left_out = parts - (cells.bit_length() - 1)
    if not left_out:
        return f"2^{parts}, all combinations"
    assert design.resolution, "a fraction has a defining word"
    return f"2^({parts}-{left_out}), resolution {_roman(design.resolution)}"


def _roman(number: int) -> str:
    return {2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII", 8: "VIII"}.get(number, str(number))


def design_words(design: Design) -> str:
    """Explain what a factorial design is and how to read this one, for readers who do not know any."""
    parts, cells = len(design.factors), len(design.cells) + 1
    sentences = [
        f"A factorial design switches several parts off at once: here {cells} of the {2**parts} combinations of {parts} parts "
        f"({design_name(design)})."
        if cells < 2**parts
        else f"A factorial design switches several parts off at once: here all {cells} combinations of {parts} parts.",
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
