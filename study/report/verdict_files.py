"""Findings for scripts: what `--json` prints. The only place that says what these records look like."""

import dataclasses
from typing import Any

from study.judge.family import Evidence
from study.report import phrases, sentences

FORMAT = 2
"""Goes up when a field is renamed, removed or comes to mean something else."""


def as_json(one: Evidence) -> dict[str, Any]:
    """One finding as JSON can hold it: what is no number, or infinite, becomes null."""
    told, verdict = dataclasses.asdict(one.verdict), one.verdict
    look = told.pop("told")
    return _plain({
        "format": FORMAT,
        "claim": one.claim_name,
        "scale": one.scale,
        "role": one.role,
        "base": one.base,
        "machines": one.machines,
        "data": one.data,
        "data_fingerprint": one.fingerprint,
        "measured": phrases.measured(one.claim.measure),
        "unit": one.claim.measure.unit,
        "verdict": {
            **told,
            "effect": look["effect"],
            "look": look,
            "is_final": verdict.is_final,
            "why": sentences.why(one),
        },
        "claims_in_family": one.claims_in_family,
        "arms": {
            arm.label: {"learning_rate": arm.rate, "seeds": arm.seeds, "keys": arm.keys, "values": arm.values}
            for arm in one.arms
        },
    })  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
