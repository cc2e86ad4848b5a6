"""Estimates the effects of a factorial design from its cells, with seeds as blocks.

A block is a seed on a machine for which every cell has a run. All cells of a block share the seed's random draws (the order of
images, crops, initial weights), which cancel in a contrast. The error is how differently cells react to a seed: the mean square
seed x cell of a two-way analysis of variance, with (cells - 1)(blocks - 1) degrees of freedom, pooled over all cells. Pooling
is right where a contrast weighs all cells equally, as every effect of a two-level design does, even if cells spread
differently; it would be wrong for a single cell. Source: Montgomery, Design and Analysis of Experiments (2017), sections 4.1
and 5.6.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.judge.arms import ArmEvidence
from study.judge.intervals import LEVEL
from study.questions.designs import Design


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One effect of a design, in the unit of the values, with its interval."""

    estimate: float  # NaN where no block is complete
    lower: float
    upper: float
    level: float
    standard_error: float  # NaN with fewer than 2 blocks, and where nothing varied: zero spread is no certainty
    sd: float  # of a run, without the means of its cell and its block
    degrees_of_freedom: int
    blocks: int  # complete ones: every cell has a value
    left_out: int  # incomplete ones: some cells have a value, not all

    @property
    def leaves_out_zero(self) -> bool:
        return self.lower > 0 or self.upper < 0


def machines_of(arms: Iterable[ArmEvidence]) -> tuple[str, ...]:
    """Return the machines of the complete blocks."""
    blocks = [set(arm.by_block) for arm in arms]
    return tuple(sorted({machine for machine, _ in set.intersection(*blocks)})) if blocks else ()


def effects_of(design: Design, control: str, arms: Mapping[str, ArmEvidence]) -> dict[str, Contrast]:
    """Return every effect that the runs of a design can show, by its name. `arms`: those that have runs, by label."""
    labels = (control, *design.labels)
    cells = [arms[label].results_by_block if label in arms else {} for label in labels]
    return in_blocks(cells, design.contrasts)


def in_blocks(
    cells: Sequence[Mapping[Any, float]], weights: Mapping[str, ArrayLike], level: float = LEVEL
) -> dict[str, Contrast]:
    """Return for each name the sum of weights[name][i] * (mean of cell i over the complete blocks), with its t interval.

    `cells`: the values of each cell by block. `weights`: for each name an array of shape [cells] whose sum is 0."""
    complete = [block for block in cells[0] if all(block in cell for cell in cells)]
    seen = {block for cell in cells for block in cell}
    values = np.array([[cell[block] for block in complete] for cell in cells], dtype=float)  # [cells, blocks]
    degrees_of_freedom = (len(cells) - 1) * max(0, len(complete) - 1)
    means = values.mean(axis=1) if complete else np.full(len(cells), math.nan)
    variance = math.nan
    if degrees_of_freedom:
        residuals = values - means[:, None] - values.mean(axis=0) + values.mean()
        variance = float((residuals**2).sum()) / degrees_of_freedom
    quantile = float(stats.t.ppf((1 + level) / 2, degrees_of_freedom)) if degrees_of_freedom else math.nan
    found = {}
    for name, given in weights.items():
        weight = np.asarray(given, dtype=float)
        assert weight.shape == (len(cells),) and abs(weight.sum()) < 1e-9, f"{name}: the weights are no contrast of the cells"
        estimate = float(weight @ means)
        error = math.sqrt(variance * float(weight @ weight) / len(complete)) if variance > 0 else math.nan
        half_width = quantile * error if error > 0 else math.inf
        found[name] = Contrast(
            estimate=estimate,
            lower=-math.inf if half_width == math.inf else estimate - half_width,
            upper=math.inf if half_width == math.inf else estimate + half_width,
            level=level,
            standard_error=error,
            sd=math.sqrt(variance),
            degrees_of_freedom=degrees_of_freedom,
            blocks=len(complete),
            left_out=len(seen) - len(complete),
        )
    return found
