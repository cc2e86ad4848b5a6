"""Formats findings as plain text for a terminal."""

from collections.abc import Sequence

from study.judge.family import Finding
from study.output import aligned
from study.report import phrases, sentences


def verdict_table(found: Sequence[Finding]) -> str:
    """Return the arms and the verdict of each base, as text."""
    if not found:
        return "nothing to judge yet"
    lines = []
    for finding in found:
        lines += ["", f"{finding.base} on {phrases.machine_and_data(finding)}"]
        rows = [
            (
                "arm",
                "rate",
                "measured",
                f"{phrases.measured(finding.claim.measure)}, mean [95%]",
                "against control",
                "every run",
            )
        ]
        for arm in finding.arms:
            rows.append((
                arm.label,
                f"{arm.rate:g}",
                phrases.measured_words(arm, finding.claim),
                phrases.mean_words(arm, finding.claim),
                phrases.against_control_words(finding, arm),
                " ".join(phrases.value_words(arm, value, finding.claim).replace(" ", "") for value in arm.values),
            ))  # fmt: skip
        lines += [f"  {line}" for line in aligned(rows)]
        observed, paper = phrases.observed_words(finding), phrases.reported_words(finding.claim)
        numbers = f"observed {observed}, paper {paper}"
        if observed == phrases.NOT_COMPARED:
            numbers = f"no estimate yet (paper: {paper})"
        lines.append(
            f"  {numbers}: {sentences.verdict_words(finding)}; "
            f"look {sentences.look_words(finding.verdict)} with {phrases.runs_words(finding)}, more needed: "
            f"{sentences.more_seeds_words(finding)}"
        )
        lines.append(f"  {sentences.why(finding)}")
    return "\n".join(lines).lstrip("\n")
