"""Findings for scripts: what `--json` prints. The only place that says what these records look like."""

import dataclasses
from typing import Any

from study.judge.evidence import Evidence
from study.report import phrases

FORMAT = 1
"""Goes up when a field is renamed, removed or comes to mean something else."""


def as_json(one: Evidence) -> dict[str, Any]:
    """One finding as JSON can hold it: what is no number, or infinite, becomes null."""
    verdict = dataclasses.asdict(one.verdict)
    return _plain({
        "format": FORMAT,
        "claim": one.claim_name,
        "scale": one.scale,
        "role": one.role,
        "base": one.base,
        "machine": one.machine,
        "data": one.data,
        "data_fingerprint": one.fingerprint,
        "measured": phrases.measured(one.claim.measure),
        "unit": one.claim.measure.unit,
        "verdict": {**verdict, "why": phrases.why(one)},
        "holm_p": one.holm,
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
