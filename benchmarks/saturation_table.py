"""The table of saturated units (saturation.py) for benchmarks/README.md and docs/figure-1.md. Needs no torch."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "figure-1.md"


def saturation_lines(rows: list[dict]) -> list[str]:
    """Return one row for each activation and treatment: the share of saturated units before and after training, by layer, with
    the least and the largest of the seeds."""
    cases = dict.fromkeys((r["saturated"], r["case"].split(", ")[0]) for r in rows)
    lines = ["| treatment | activation | rate | layer 1 | layer 2 | layer 3 |", "| --- | --- | --- | --- | --- | --- |"]
    for activation, base in cases:
        before, after = (
            next(r for r in rows if (r["saturated"], r["case"]) == (activation, f"{base}, {when} training"))
            for when in ("before", "after")
        )
        shares = [
            f"{b[1]:.0%} → {a[1]:.0%} [{a[0]:.0%}, {a[2]:.0%}]" for b, a in zip(before["layers"], after["layers"], strict=True)
        ]
        lines.append(f"| {base.removeprefix('A-')} | {activation} | {after['rate']:g} | {' | '.join(shares)} |")
    return lines
