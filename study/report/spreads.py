"""Builds the report's tables of where the spread of runs comes from, for every base, scale and image set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from study.judge.components import ArmRuns, intraclass_correlation, runs_of, variance_components
from study.judge.family import Finding
from study.questions.measures import AtEnd, Measure

FEWEST_ARMS = 3
"""With fewer arms there is no table."""


@dataclass(frozen=True)
class SpreadTable:
    """The components of the spread of one measure."""

    base: str
    scale: str
    data: str
    fingerprint: str
    measure: Measure
    components: pd.DataFrame  # see `variance_components`
    correlation: tuple[float, float, float]  # of two arms at one seed, with its 95% interval


def spreads_of(found: Sequence[Finding]) -> list[SpreadTable]:
    """Return a table for every base, scale and image set with enough arms, for the error that most claims use."""
    measure, tables = AtEnd("test_error_ten_views"), []
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in found:
        if one.claim.measure == measure and not one.claim.tune:  # arms at their own rates are other arms
            groups.setdefault((one.base, one.scale, one.data, one.fingerprint), []).append(one)
    for (base, scale, data, fingerprint), group in groups.items():
        arms, wrong = [], {}
        for one in group:
            for arm in one.arms:
                name = f"{one.claim_name} {arm.label}"
                for machine, own in arm.by_machine.items():
                    keys, seeds, values = ([getattr(run, fact) for run in own] for fact in ("key", "seed", "result"))
                    arms.append(ArmRuns(name, keys, seeds, machine, values))
                kept = [each for run in arm.with_a_result if (each := run.wrong("test_error_ten_views")) is not None]
                if 0 < len(kept) == len(arm.with_a_result):
                    wrong.setdefault(" ".join(arm.keys), np.stack(kept))
        runs = runs_of(arms)
        if runs.arm.nunique() >= FEWEST_ARMS and runs.block.nunique() >= 2:
            components = variance_components(runs, wrong)
            tables.append(SpreadTable(base, scale, data, fingerprint, measure, components, intraclass_correlation(runs)))
    return tables
