"""study/judge/seeds_needed.py: the spread that runs show, from which the seeds that "no effect" needs are told."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up_arms import arm_of

from study.judge.seeds_needed import MOST_CORRELATION, spread_of
from study.plan.claim_files import all_claims

DECAY = all_claims()["weight_decay"]


def found(control, treated) -> Any:
    """Runs of a claim of two arms: all that a spread is read off."""
    arms = [arm_of("0.0005", control), arm_of("none", treated)]
    return SimpleNamespace(claim=DECAY, scale="cifar10-jpeg", base="ALEXNET_32", arms=arms, control=arms[0])


def shown(control, treated):
    spread = spread_of([found(control, treated)], DECAY.measure, "ALEXNET_32")
    assert spread is not None
    return spread


@pytest.mark.parametrize("treated", [(0, 1, 3, 2), (1, 0, 3, 2), (0, 2, 1, 3), (2, 0, 3, 1), (3, 2, 1, 0), (0, 1, 2, 3)])
def test_the_correlation_of_arms_that_spread_alike_is_pearsons_from_zero_up(treated):
    spread, control = shown([0, 1, 2, 3], treated), [0, 1, 2, 3]
    pearson = float(np.corrcoef(control, treated)[0, 1])
    assert spread.correlation == pytest.approx(min(max(pearson, 0.0), MOST_CORRELATION))
    assert (spread.sd, spread.runs) == (pytest.approx(np.std(control, ddof=1)), 8)


def test_the_spread_and_the_correlation_that_were_drawn_are_found():
    """Half of a run's variance is what its seed draws for both arms."""
    generator, seeds = np.random.default_rng(12), 4_000
    luck, own = generator.normal(0, 0.3, seeds), generator.normal(0, 0.3, (2, seeds))
    spread = shown(*(luck + own))
    assert spread.sd == pytest.approx(0.3 * math.sqrt(2), rel=0.03) and spread.correlation == pytest.approx(0.5, abs=0.03)


def test_two_machines_that_lie_apart_are_no_correlation_of_arms():
    generator = np.random.default_rng(5)
    here, there = generator.normal(40, 0.3, (2, 200)), generator.normal(41, 0.3, (2, 200))
    both = [{"here": list(here[arm]), "there": list(there[arm])} for arm in (0, 1)]
    assert shown(*both).correlation < 0.15
