"""study/judge/components.py: against the analysis of variance by hand, and simulations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.judge.components import (
    ARM,
    LEVEL_IMAGES,
    REST,
    SEED,
    ArmRuns,
    intraclass_correlation,
    runs_of,
    variance_components,
)
from study.judge.images import image_variance

few_examples = settings(max_examples=20, deadline=None, derandomize=True, database=None)


def frame(values: np.ndarray, kept: np.ndarray | None = None) -> pd.DataFrame:
    """Values [arms, seeds] as runs; of those that are `kept`."""
    arms, seeds = np.indices(values.shape)
    rows = pd.DataFrame({"arm": arms.ravel(), "block": seeds.ravel(), "value": values.ravel()})
    return rows[kept.ravel()] if kept is not None else rows


def drawn(random: np.random.Generator, arms: int, seeds: int, sds=(1.0, 0.6, 0.4)) -> np.ndarray:
    of_arm, of_seed, rest = sds
    luck = of_arm * random.normal(size=(arms, 1)) + of_seed * random.normal(size=(1, seeds))
    return 27 + luck + rest * random.normal(size=(arms, seeds))


def sds(table: pd.DataFrame) -> dict:
    return dict(zip(table.component, table.sd, strict=True))


@few_examples
@given(st.integers(2, 7), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_with_every_arm_at_every_seed_the_parts_are_those_of_the_analysis_of_variance(arms, seeds, seed):
    values = drawn(np.random.default_rng(seed), arms, seeds)
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    noise = (rest**2).sum() / ((arms - 1) * (seeds - 1))
    by_hand = {
        ARM: max(0, values.mean(1).var(ddof=1) - noise / seeds) ** 0.5,
        SEED: max(0, values.mean(0).var(ddof=1) - noise / arms) ** 0.5,
        REST: noise**0.5,
    }
    assert sds(variance_components(frame(values))) == pytest.approx(by_hand, abs=1e-6)


def test_with_runs_missing_the_variances_are_right_in_the_mean():
    """A control with 12 seeds and arms with 3 to 6 of them: 80 draws."""
    random, found = np.random.default_rng(7), []
    kept = np.arange(12) < np.array([12, 3, 3, 4, 5, 6])[:, None]
    for _ in range(80):
        table = variance_components(frame(drawn(random, 6, 12), kept))
        found.append(table.sd.to_numpy() ** 2)
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(80)
    assert (abs(mean - np.array([1.0, 0.36, 0.16])) < 3.5 * error + [0, 0.02, 0]).all()  # cut off at 0, the seed's is larger


@pytest.mark.slow
def test_the_intervals_of_all_parts_hold_the_truth():
    random, held, rho_held = np.random.default_rng(11), np.zeros(3), 0
    truth, correlation = np.array([1.0, 0.6, 0.4]), 0.36 / (0.36 + 0.16)
    for _ in range(400):
        runs = frame(drawn(random, 8, 4))
        table = variance_components(runs)
        held += (table.lower.to_numpy() <= truth) & (truth <= table.upper.to_numpy())
        _, lower, upper = intraclass_correlation(runs)
        rho_held += lower <= correlation <= upper
    assert (held / 400 >= 0.925).all() and 0.925 <= rho_held / 400 <= 0.975


def test_seeds_that_bring_no_luck_are_told_as_no_spread_with_an_interval_from_zero():
    values = drawn(np.random.default_rng(3), 10, 3, sds=(1.0, 0.0, 0.4))
    table = variance_components(frame(values)).set_index("component")
    assert table.loc[SEED, "lower"] == 0 and table.loc[REST, "sd"] == pytest.approx(0.4, rel=0.4)
    assert table.loc[[ARM, SEED, REST], "n"].tolist() == [10, 3, 30]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_too_few_runs_tell_nothing(shape):
    table = variance_components(frame(np.arange(shape[0] * shape[1], dtype=float).reshape(shape)))
    assert table.sd.isna().all() and np.isnan(intraclass_correlation(frame(np.zeros(shape)))).all()


def test_the_correlation_of_two_arms_at_one_seed_is_estimated_from_many():
    runs = frame(drawn(np.random.default_rng(5), 40, 60))
    estimate, lower, upper = intraclass_correlation(runs)
    assert lower < estimate < upper and estimate == pytest.approx(0.36 / 0.52, abs=0.1)


def test_the_test_images_of_levels_stand_beside_the_rest():
    random = np.random.default_rng(9)
    answers = {arm: (random.random((3, 400)) < random.random(400)).astype(float) for arm in ("2012", "b", "c")}
    answers["one run"] = answers["b"][:1]
    table = variance_components(frame(drawn(random, 4, 3)), answers).set_index("component")
    levels = [image_variance(answers[arm]) for arm in ("2012", "b", "c")]
    assert table.loc[LEVEL_IMAGES, "sd"] == pytest.approx(100 * np.mean(levels) ** 0.5)
    assert table.loc[LEVEL_IMAGES, "n"] == 3 and len(table) == 4


def test_runs_that_claims_share_are_counted_once_and_arms_that_share_a_run_are_one():
    runs = runs_of(
        [
            ArmRuns("2012", ("k0", "k1"), (0, 1), "a", (26.0, 27.0)),
            ArmRuns("all on", ("k1", "k2"), (1, 2), "a", (27.0, 28.0)),
            ArmRuns("no norm", ("m0", "m1"), (0, 1), "a", (29.0, None)),
            ArmRuns("2012", ("k0",), (0,), "b", (26.5,)),
        ]
    )
    assert runs.values.tolist() == [
        ["2012", "0 a", 26.0],
        ["2012", "1 a", 27.0],
        ["2012", "2 a", 28.0],
        ["no norm", "0 a", 29.0],
        ["2012", "0 b", 26.5],
    ]
