"""Verdicts on one's own images: over seeds and images, what limits them, and how far another split moves them."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from study.judge.decision import ClaimLooks, Look, of_difference, weigh
from study.judge.images import image_variance, on_other_images
from study.judge.intervals import difference_of, within_runs
from study.judge.limits import limit_of
from study.judge.power import by_the_last_look
from study.judge.splits import over_splits, with_splits


@dataclass(frozen=True)
class Told:
    """A finding, as far as splits need it."""

    claim_name: str
    base: str
    scale: str
    verdict: SimpleNamespace
    arms: tuple
    splits: tuple | None = None


def look_at(estimate: float, seed_error: float, image_error: float, images: int = 300, degrees: float = 8.0) -> Look:
    error = math.hypot(seed_error, image_error)
    wide, narrow = (difference_of(estimate, error, degrees, level, 9, 9, 1.0, 9) for level in (0.95, 0.90))
    look = weigh(wide, narrow, of_difference(None, 1, 0.5, False), 3)
    return replace(look, image_error=image_error, test_images=images)


def test_the_interval_over_both_is_the_formula_by_hand():
    """Two arms, 4 seeds, 6 images: d, S_x and V as STATISTICS.md, section 5, writes them."""
    random = np.random.default_rng(3)
    treated = (random.random((4, 6)) < np.array([1, 1, 0.5, 0.5, 0, 0])).astype(float)
    control = (random.random((4, 6)) < np.array([0, 0.5, 0.5, 0, 1, 1])).astype(float)
    d = treated - control
    products = [sum(d[s, x] * d[t, x] for s in range(4) for t in range(4) if s != t) / 12 for x in range(6)]
    of_images = max(0.0, float(np.mean(products)) - d.mean() ** 2) / 6
    seeds = within_runs(100 * d.mean(1))
    both = on_other_images(treated - control, seeds.standard_error / 100, 3)
    variance = (seeds.standard_error / 100) ** 2 + of_images
    assert of_images > 0 and both.image_error**2 == pytest.approx(of_images) == pytest.approx(image_variance(d))
    degrees = 3 * (variance / (seeds.standard_error / 100) ** 2) ** 2
    around = both.around(seeds, 0.95)
    half_width = 100 * stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    assert (around.upper - around.lower) / 2 == pytest.approx(half_width) and around.estimate == seeds.estimate
    assert 100 * both.half_width == pytest.approx(half_width)


@pytest.mark.parametrize(
    ("estimate", "image_error", "by", "needed"),
    [
        (2.0, 1.5, "images", 300 * (1.5 * 1.96 / 2.0) ** 2),  # 2.0 is 1.96 errors of 1.02
        (2.0, 1.0, "seeds", 300),
        (0.0, 0.5, "images", 300 * (0.5 * 1.645 / 0.5) ** 2),  # a zero within 0.5 needs an error of 0.5 / 1.645
        (0.0, 0.3, "seeds", 300),
        (2.0, 0.0, "seeds", 300),
    ],
)
def test_what_limits_a_look_is_what_seeds_without_end_would_leave(estimate, image_error, by, needed):
    limit = limit_of(look_at(estimate, 0.4, image_error), 0.5)
    assert limit is not None and limit.by == by and limit.needed == pytest.approx(needed, rel=0.01)
    assert limit.seed_error == pytest.approx(0.4) and limit.image_error == image_error


def test_a_look_over_seeds_alone_has_no_such_limit():
    assert limit_of(replace(look_at(1.0, 0.4, 0.0), test_images=0), 0.5) is None


def test_more_seeds_lessen_their_own_part_of_the_error_alone():
    look = look_at(1.0, 0.6, 0.8)
    assert look.error_with(4) == pytest.approx(math.hypot(0.3, 0.8)) and look.error_with(1e12) == pytest.approx(0.8)


def test_power_by_the_last_look_ends_at_what_the_images_allow():
    """With few images no number of seeds finds an effect: of 1 point, at an error of 0.8, by the normal distribution 24%."""
    question = of_difference(1.0, 1, 0.5, False)

    def power(image_error: float) -> float:
        look = replace(look_at(1.0, 0.6, image_error), number=1)
        judged = ClaimLooks(
            looks=(look,), shares=(0.001, 1.0), so_far=look, seeds_of_looks=(9, 9000), seeds=9, question=question
        )
        return by_the_last_look(judged, look, 1)[0]

    assert power(0.0) > 0.99 and power(0.8) == pytest.approx(stats.norm.sf(1.96 - 1 / 0.8), abs=0.01)


def test_splits_are_told_by_the_corrected_resampled_t_test():
    """By hand: 1, 2, 6 have mean 3 and variance 7; of 20% for tests the factor is 1/3 + 1/4."""
    found = over_splits([1.0, 2.0, 6.0], 20)
    assert found.estimate == 3 and found.standard_error == pytest.approx(math.sqrt(7 * (1 / 3 + 1 / 4)))
    assert found.upper - found.estimate == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(7 * 7 / 12))


def test_splits_of_an_earlier_set_of_other_size_and_earlier_versions_of_a_split_are_left_out():
    def found(label: str, effect: float, started: str) -> SimpleNamespace:
        arms = (SimpleNamespace(runs=(SimpleNamespace(started=started),)),)
        verdict = SimpleNamespace(effect=difference_of(effect, 1.0, 5, 0.95, 3, 3, 1.0, 3))
        return Told("response_norm", "ALEXNET_32", f"own-pets-32px-{label}", verdict, arms)

    now = [found("10classes-200images", 1.0, "c"), found("split1-10classes-200images", 2.0, "b")]
    earlier = [found("10classes-160images", 9.0, "a"), found("split1-10classes-200images", 7.0, "a")]
    findings = with_splits([*now, *earlier])
    assert [one.splits and one.splits[0] for one in findings] == [(1.0, 2.0), (1.0, 2.0), None, (1.0, 2.0)]


def test_one_split_tells_nothing_of_the_others():
    assert math.isinf(over_splits([1.0], 20).upper)


def test_splits_that_agree_to_the_last_digit_have_no_interval():
    assert math.isinf(over_splits([1.0, 1.0, 1.0], 20).upper)
