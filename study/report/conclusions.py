"""What a user is told at the end of a run: the verdict in two sentences, and which command is the next sensible one."""

from collections.abc import Sequence

from study.judge.family import Evidence
from study.plan.fixed_rules import looks_of
from study.report import phrases, sentences


def in_two_sentences(one: Evidence) -> str:
    """The verdict; then the number here beside the paper's."""
    title = one.claim.title.strip().rstrip(".")
    verdict = f"{title} ({one.base}): {sentences.verdict_words(one)}."
    if one.verdict.direction == "did not learn":
        return f"{verdict} No run learned anything, so its numbers say nothing."
    number, where = phrases.observed_words(one), f"{one.data} on {one.machine}"
    unfinished = ", unfinished" if one.verdict.direction == "incomplete" else ""
    here = f"Here it is {number}{unfinished}, with {phrases.runs_words(one)} on {where}"
    return f"{verdict} {here}; {phrases.paper_says(one.claim)}."


def short_verdict(one: Evidence) -> str:
    """The verdict in a line of a list."""
    runs = phrases.runs_words(one)
    return f"{sentences.verdict_words(one)}; {phrases.observed_words(one)} with {runs} ({one.base}, {one.scale})"


def next_words(name: str, scale: str, found: Sequence[Evidence]) -> tuple[list[str], str]:
    """The words of the next sensible command after runs of a claim, and what it is for.

    `found`: what they came to."""
    if found and all(one.role == "machinery" for one in found):
        real = next((where for where, role in found[0].claim.scales.items() if role != "machinery"), scale)
        return ["plan", name, "--scale", real], "what real images would cost; these were no evidence"
    if not found:
        return ["plan", name, "--scale", scale], "which runs are missing"
    still_open = [one for one in found if one.verdict.more_seeds]
    if not still_open:
        return ["list"], "every claim with its verdict"
    first = still_open[0]
    looks = looks_of(first.rule)
    taken = min(one.verdict.looks_taken for one in still_open)
    seeds = looks.arms[min(taken, len(looks.arms) - 1)]
    bases = [one.base for one in still_open if one.base not in first.claim.default_bases]
    on = ["--base", ",".join(one.base for one in still_open)] if bases else []
    return ["run", name, "--scale", scale, *on, "--seeds", str(seeds)], f"look {taken + 1} of {first.verdict.looks_planned}"
