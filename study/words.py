"""Findings in words: the same phrases in the terminal, the figures, the reports and MLflow."""

import math

from study.findings import Found
from study.stats import Ratio

BOUNDS = {"exact": "", "at least": "at least ", "at most": "at most "}


def number(value: float, digits: int = 3) -> str:
    if value != value:
        return "-"
    return "∞" if math.isinf(value) else f"{value:#.{digits}g}".rstrip(".")


def ratio_words(ratio: Ratio) -> str:
    """Such as "x3.94 [3.21, 4.83]", "at least x4.10 [3.90, ∞)", "no ratio yet"."""
    if ratio.estimate != ratio.estimate:
        return "no ratio yet"
    if ratio.bound == "unknown":
        return "no ratio (runs of both arms never arrived)"
    interval = f"[{number(ratio.lower)}, {number(ratio.upper)}{')' if math.isinf(ratio.upper) else ']'}"
    return f"{BOUNDS[ratio.bound]}x{number(ratio.estimate)} {interval}"


def machine_and_data(one: Found) -> str:
    return f"{one.data} ({one.fingerprint}) on {one.machine}"


def seeds_words(one: Found) -> str:
    """Runs that are in, of how many are planned, for the two arms the claim is about."""
    counts = [len(arm.seeds) if (arm := one.arm(label)) else 0 for label in (one.claim.rule.treated, one.claim.rule.control)]
    planned = max(one.seeds_planned, *counts)
    return str(planned) if min(counts) == planned else f"{min(counts)} of {planned}"


def verdict_words(one: Found) -> str:
    """The verdict with what it rests on, for a table cell."""
    verdict = one.verdict
    size = {"not judged": ""}.get(verdict.size, f", size {verdict.size}")
    if one.role == "proxy":
        size = ", size not judged (proxy)"
    if one.role == "machinery":
        return f"{verdict.direction} (stand-in data: shows the machinery, is no evidence)"
    return f"{verdict.direction}{size}"


def more_seeds_words(one: Found) -> str:
    more = one.verdict.more_seeds
    return "not computable" if more is None else "none" if more == 0 else f"{more} more an arm"
