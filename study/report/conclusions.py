"""Texts for the end of a run: the verdict in two sentences, and the next useful command."""

from collections.abc import Callable, Sequence

from study.judge.family import Finding
from study.questions.scales import scale_named
from study.report import phrases, sentences


def in_two_sentences(finding: Finding) -> str:
    """Return the verdict, then our number and the paper's."""
    title = finding.claim.title.strip().rstrip(".")
    verdict = f"{title} ({finding.base}): {sentences.verdict_words(finding)}."
    if finding.verdict.direction == "did not learn":
        return f"{verdict} No run learned anything, so its numbers say nothing."
    number, where = phrases.observed_words(finding), f"{finding.data} on {finding.machine}"
    unfinished = ", unfinished" if finding.verdict.direction == "incomplete" else ""
    is_there = f"it is {number}" if number != phrases.NOT_COMPARED else "there is no estimate yet"
    here = f"Here {is_there}{unfinished}, with {phrases.runs_words(finding)} on {where}"
    return f"{verdict} {here}; {phrases.paper_says(finding.claim)}."


def short_verdict(finding: Finding) -> str:
    """Return the verdict as a line of a list."""
    runs = phrases.runs_words(finding)
    return (
        f"{sentences.verdict_words(finding)}; {phrases.observed_words(finding)} with {runs} ({finding.base}, {finding.scale})"
    )


def next_words(
    name: str, scale: str, found: Sequence[Finding], is_there: Callable[[str], bool] = lambda data: True
) -> tuple[list[str], str]:
    """Return the words of the next useful command after runs of a claim, and what it is for.

    `found`: their findings. `is_there`: whether an image set is there, or cannot be downloaded; `plan` downloads nothing."""
    if found and all(finding.role == "machinery" for finding in found):
        real = next((where for where, role in found[0].claim.scales.items() if role != "machinery"), scale)
        if not is_there(data := scale_named(real).data):
            return ["data", "pack", data], f"downloads real images, for `plan {name} --scale {real}`; these were no evidence"
        return ["plan", name, "--scale", real], "what real images would cost; these were no evidence"
    if not found:
        return ["plan", name, "--scale", scale], "which runs are missing"
    still_open = [finding for finding in found if finding.verdict.more_seeds]
    if not still_open:
        return ["list"], "every claim with its verdict"
    first = still_open[0]
    taken = min(finding.verdict.looks_taken for finding in still_open)
    seeds = first.looks.arms[min(taken, len(first.looks.arms) - 1)]
    bases = [finding.base for finding in still_open if finding.base not in first.claim.default_bases]
    on = ["--base", ",".join(finding.base for finding in still_open)] if bases else []
    return ["run", name, "--scale", scale, *on, "--seeds", str(seeds)], f"look {taken + 1} of {first.verdict.looks_planned}"
