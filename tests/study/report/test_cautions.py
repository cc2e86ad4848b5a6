"""study/report/cautions.py: what is said beside a verdict of another reading, of the signal's scale and of other images."""

import dataclasses
from types import SimpleNamespace

import pytest
from made_up_arms import arm_of, case_of, decided, finding_of

from study.judge.family import readings_of
from study.judge.intervals import difference_of, within_runs
from study.plan.claim_files import all_claims
from study.report.cautions import DIFFERS, LARGER, cautions, own_readings, readings_differ

CLAIMS = all_claims()
DROPOUT, SLOWER = CLAIMS["dropout_error"], CLAIMS["dropout_slower"]
ARMS = {
    "dropout": arm_of("dropout", [40.0, 40.2, 39.8, 40.1, 39.9]),
    "none": arm_of("none", [41.0, 41.3, 40.7]),
    "factor-only": arm_of("factor-only", [38.0, 38.1, 37.9]),
}


def found(**of_look):
    verdict = decided(DROPOUT, ARMS)
    verdict = dataclasses.replace(verdict, look=dataclasses.replace(verdict.look, **of_look))
    return finding_of(DROPOUT, verdict, readings=readings_of(case_of(DROPOUT, ARMS)))


def test_another_reading_stands_in_the_place_of_the_arm_that_is_not_shared():
    less = readings_of(case_of(DROPOUT, ARMS))["factor-only"]
    assert less.estimate == pytest.approx(-2.0, abs=0.1)  # against the shared control
    times = {
        label: arm_of(label, runs)
        for label, runs in {"dropout": [6.0] * 5, "none": [3.0] * 3, "factor-only": [2.0] * 3}.items()
    }
    assert readings_of(case_of(SLOWER, times))["factor-only"].estimate == pytest.approx(
        3.0
    )  # dropout, shared, over the reading


def test_a_reading_that_lies_apart_is_told_and_marked():
    one = found()
    assert readings_differ(one) and any("By the reading factor-only, the effect is -2.0" in text for text in cautions(one))
    same = SimpleNamespace(**{**vars(one), "readings": {"factor-only": one.verdict.effect}})
    assert not readings_differ(same)


@pytest.mark.parametrize(
    ("ratio", "is_said"), [(None, False), (1.0, False), (0.81, False), (1.24, False), (0.79, True), (3.6, True)]
)
def test_an_arm_that_changes_the_scale_of_the_signal_says_so(ratio, is_said):
    assert any("Before training" in text for text in cautions(found(initial_logits=ratio))) == is_said


def test_on_other_images_is_told_where_it_is_known_and_marked_where_it_would_change_the_verdict():
    assert not any("other test images" in text for text in cautions(found()))
    assert any("would be +-0.30." in text for text in cautions(found(on_other_images=0.3)))
    wide = found(on_other_images=9.0)
    supported = SimpleNamespace(**{**vars(wide), "verdict": dataclasses.replace(wide.verdict, direction="supported")})
    assert any("these test images alone" in text for text in cautions(supported))


@pytest.mark.parametrize(
    ("direction", "values", "doubts"),
    [
        ("supported", [1.0, 1.1, 0.9], False),
        ("supported", [3.0, -1.0, 1.0], True),
        ("contradicted", [3.0, -1.0, 1.0], True),
        ("contradicted", [-1.0, -1.1, -0.9], False),
        ("undecided", [3.0, -1.0, 1.0], False),  # nothing is said that could be doubted
    ],
)
def test_a_direction_that_hangs_on_seeds_that_count_on_two_machines_says_so(direction, values, doubts):
    one = found()
    verdict = dataclasses.replace(one.verdict, direction=direction)
    once = SimpleNamespace(**{**vars(one), "verdict": verdict, "each_seed_once": within_runs(values)})
    (caution,) = [text for text in cautions(once) if "of the 3 seeds counted once" in text]
    assert ("which includes 0" in caution) == doubts


@pytest.mark.parametrize(
    ("values", "doubts"), [([0.1, 0.0, -0.1], False), ([0.45, 0.5, 0.55], True), ([-0.45, -0.5, -0.55], True)]
)
def test_no_effect_that_hangs_on_seeds_that_count_on_two_machines_says_so(values, doubts):
    one = found()  # its margin is half a point
    verdict = dataclasses.replace(one.verdict, direction="no effect")
    once = SimpleNamespace(**{**vars(one), "verdict": verdict, "each_seed_once": within_runs(values)})
    (caution,) = [text for text in cautions(once) if "of the 3 seeds counted once" in text]
    assert ("which reaches beyond the margin of 0.5 points" in caution) == doubts


@pytest.mark.parametrize(
    ("direction", "alone", "words"),
    [
        ("supported", None, None),
        ("supported", "supported", "undecided among all claims (supported alone)"),
        ("undecided", None, "undecided"),
    ],
)
def test_a_verdict_that_hangs_on_the_spread_of_other_comparisons_says_what_it_would_be(direction, alone, words):
    one = found()
    without = dataclasses.replace(one.verdict, direction=direction, alone=alone, holm_p=0.0502)
    both = SimpleNamespace(**{**vars(one), "by_own_spread": without})
    told = [text for text in cautions(both) if text.startswith("With the spread of its own pairs alone")]
    assert len(told) == (words is not None)
    assert not words or (f"it would be {words} at look 1 of 4: +1.0" in told[0] and "p = 0.0502 among" in told[0])


def test_a_question_outside_of_the_family_says_so():
    outside = SimpleNamespace(**{**vars(found()), "in_family": False, "claims_in_family": 24})
    assert any("not among the 23 claims" in text for text in cautions(outside))
    assert not any("tested together" in text for text in cautions(found()))


DEPTH = CLAIMS["depth"]


def depth(of_2: list[float], of_3: list[float]) -> SimpleNamespace:
    """The claim on depth, decided by layer 3 at one point less, with these runs of the second readings of layers 2 and 3."""
    runs = {"all-five": [40.0, 40.2, 39.8, 40.1, 39.9], "without-2": [42.0, 42.2, 41.9], "without-3": [39.0, 39.1, 38.9]}
    runs |= {"without-4": [39.5, 39.6, 39.4], "without-2-signal-kept": of_2, "without-3-signal-kept": of_3}
    arms = {label: arm_of(label, values) for label, values in runs.items()}
    case = case_of(DEPTH, arms)
    effects = {label: case.compare(label, "all-five") for label in runs if label != "all-five"}
    return finding_of(DEPTH, decided(DEPTH, arms), effects=effects, readings=readings_of(case))


@pytest.mark.parametrize(
    ("of_2", "of_3", "differ"),
    [
        ([42.1, 42.3, 41.8], [39.0, 39.2, 38.9], ""),  # each as its own arm, on both sides of the verdict
        ([39.0, 39.1, 38.9], [39.0, 39.2, 38.9], DIFFERS),  # layer 2 as the verdict, and not as layer 2
        ([42.1, 42.3, 41.8], [42.0, 42.2, 41.9], DIFFERS),  # layer 3 not as the verdict
        ([42.1, 42.3, 41.8], [30.0, 30.2, 29.9], LARGER),  # layer 3 as the verdict, and ten times as much
        ([52.1, 52.3, 51.8], [39.0, 39.2, 38.9], LARGER),  # so layer 2
        ([52.1, 52.3, 51.8], [42.0, 42.2, 41.9], DIFFERS),  # what differs is told, whichever arm comes first
        ([39.0, 39.1, 38.9], [30.0, 30.2, 29.9], DIFFERS),
    ],
)
def test_of_several_arms_each_is_compared_with_its_own_second_reading(of_2, of_3, differ):
    one = depth(of_2, of_3)
    assert one.verdict.treated == "without-3" and readings_differ(one) == differ
    assert list(own_readings(one)) == ["without-3-signal-kept"]
    (caution,) = (text for text in cautions(one) if "without-2-signal-kept" in text)
    assert "(without-2 itself: +2.0" in caution


@pytest.mark.parametrize(("alone", "is_said"), [("supported", False), ("contradicted", True), (None, False)])
def test_what_an_earlier_look_decided_alone_is_told_where_the_estimate_has_changed_sides(alone, is_said):
    """Here the estimate is one point in the paper's direction."""
    one = found()
    one.verdict = dataclasses.replace(one.verdict, alone=alone)
    assert any("now the estimate is on the other side" in text for text in cautions(one)) == is_said


def test_a_reading_beyond_an_effect_whose_interval_holds_0_says_another_thing_and_not_a_larger_effect():
    other = difference_of(3.0, 0.2, 9.0, 0.95, 6, 10, 0.4)

    def of(estimate: float) -> SimpleNamespace:
        verdict = SimpleNamespace(effect=difference_of(estimate, 0.2, 9.0, 0.95, 6, 10, 0.4), treated="none")
        return SimpleNamespace(claim=DROPOUT, verdict=verdict, effects={}, readings={"factor-only": other})

    assert (readings_differ(of(0.2)), readings_differ(of(1.0))) == (DIFFERS, LARGER)
