"""Estimates how much the split into training and test images moves an effect, from several splits of the user's own images."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from study.judge.family import Finding
from study.judge.intervals import LEVEL, Difference, difference_of
from study.questions.scales import scale_named


def over_splits(estimates: Sequence[float], test_percent: int) -> Difference:
    """Return the mean effect of several splits of the same images, with its interval.

    Splits share images, so their effects are not independent: the variance of their mean is (1/k + test/train) times the
    variance between them. Source: Nadeau and Bengio (2003), the corrected resampled t test."""
    values = np.asarray(estimates, dtype=float)
    k = len(values)
    variance = float(values.var(ddof=1)) if k > 1 else math.nan
    error = math.sqrt((1 / k + test_percent / (100 - test_percent)) * variance) if k > 1 and variance > 0 else math.nan
    return difference_of(float(values.mean()), error, k - 1, LEVEL, k, k, math.sqrt(variance) if k > 1 else math.nan, k)


def with_splits(found: Sequence[Finding]) -> list[Finding]:
    """Return the same findings, each with the effects of all splits of its images, where there are several. Splits are of the
    same images if classes and training images are as many; of two versions of a split the one that was run last counts."""
    groups: dict[tuple, list[Finding]] = {}
    for finding in found:
        scale = scale_named(finding.scale)
        own = scale.own
        if own and isinstance(finding.verdict.effect, Difference) and math.isfinite(finding.verdict.effect.estimate):
            images = replace(own, split=0), scale.diff["model.classes"], scale.train_images
            groups.setdefault((finding.claim_name, finding.base, *images), []).append(finding)
    splits_of: dict[int, tuple[tuple[float, ...], Difference]] = {}
    for (_, _, own, *_), mine in groups.items():
        splits = {_split(one): one for one in sorted(mine, key=_last_begun)}
        splits = {split: splits[split] for split in sorted(splits)}
        if len(splits) > 1:
            estimates = tuple(
                one.verdict.effect.estimate for one in splits.values() if isinstance(one.verdict.effect, Difference)
            )
            splits_of |= dict.fromkeys(map(id, mine), (estimates, over_splits(estimates, own.test_percent)))
    return [replace(finding, splits=splits_of[id(finding)]) if id(finding) in splits_of else finding for finding in found]


def _last_begun(finding: Finding) -> str:
    return max(run.started for arm in finding.arms for run in arm.runs)


def _split(finding: Finding) -> int:
    own = scale_named(finding.scale).own
    assert own
    return own.split
