"""study/report/figures: what each part is worth, and how many runs of several machines are drawn, from made-up findings."""

import dataclasses
from types import SimpleNamespace

import pytest
from made_up_arms import HERE, THERE, arm_of, case_of, decided

from study.judge.family import readings_of
from study.plan.claim_files import all_claims
from study.questions.measures import NeighbourGain
from study.report.figures.errors import errors_at_end
from study.report.figures.figure_3 import figure_3
from study.report.figures.parts import KINDS, worth_of_parts
from study.report.figures.style import FILLS, PALETTE
from study.report.figures.time_to_target import time_to_target

CLAIMS = all_claims()
FIVE = [40.0, 40.1, 40.05, 39.95, 40.02]
HIGHER, LITTLE, WIDE = [42.0, 42.1, 41.95], [40.3, 40.4, 40.35], [38.0, 42.5, 40.0]
SCALE = "cifar10-jpeg"


def found(name: str, treated=HIGHER, scale: str = SCALE, **more) -> SimpleNamespace:
    """A finding on a claim, every arm but the first with the same runs."""
    claim = CLAIMS[name]
    arms = {arm.label: arm_of(arm.label, treated if place else FIVE) for place, arm in enumerate(claim.arms)}
    facts = {"claim_name": name, "claim": claim, "verdict": decided(claim, arms), "data": SCALE, "base": "ALEXNET_32"}
    facts |= {"fingerprint": "f00d", "machines": (HERE,), "role": "proxy", "scale": scale, "arms": tuple(arms.values())}
    case = case_of(claim, arms)
    effects = {label: case.compare(label, claim.rule.control) for label in arms if label != claim.rule.control}
    one = SimpleNamespace(**(facts | {"effects": effects, "readings": readings_of(case)} | more))
    one.word = one.verdict.direction
    return one


def names(axis) -> list[str]:
    """What stands on the left, from above to below."""
    return [text.get_text().replace("\n", " ") for text in axis.texts if text.get_ha() == "left"]


def marks(axis, mark: str) -> list:
    return [line for line in axis.lines if line.get_marker() == mark]


def test_the_largest_effect_in_the_papers_direction_stands_above_whatever_its_sign():
    small, large = found("response_norm", LITTLE), found("colour_noise", HIGHER)
    lower = found("batch_norm", [35.0, 35.1, 35.2])  # below 0 is expected: worth 5 points
    (axis,) = worth_of_parts([small, lower, large]).axes
    assert names(axis) == [one.claim.title for one in (lower, large, small)]
    assert [line.get_xdata()[0] for line in marks(axis, "o")] == pytest.approx([4.9, 2.0, 0.33], abs=0.1)


def test_a_part_has_a_line_for_each_regime_in_one_row():
    both = [found("response_norm"), found("response_norm", LITTLE, scale="cifar10-jpeg-2500")]
    (axis,) = worth_of_parts(both).axes
    assert names(axis) == [both[0].claim.title] and len(marks(axis, "o")) == len(marks(axis, "s")) == 1


def test_errors_of_each_kind_have_an_axis_of_their_own():
    figure = worth_of_parts([found("weight_decay"), found("dropout_overfits"), found("response_norm")])
    assert [axis.get_xlabel().partition(", ")[0] for axis in figure.axes] == [f"points of {kind}" for kind in KINDS]


@pytest.mark.parametrize(("treated", "filled"), [(HIGHER, True), (WIDE, False), (FIVE, False)])
def test_a_mark_is_filled_where_a_direction_is_decided(treated, filled):
    one = found("response_norm", treated)
    (axis,) = worth_of_parts([one]).axes
    (mark,) = marks(axis, "o")
    assert filled == (one.verdict.direction == "supported") == (mark.get_markerfacecolor() != "white")


def test_no_effect_has_a_mark_of_its_own_which_the_legend_names():
    """It is not that of an open claim, nor told by its place or colour."""
    dots = {}
    for word, treated in (("no effect", FIVE), ("undecided", WIDE), ("supported", HIGHER)):
        one = found("response_norm", treated)
        figure = worth_of_parts([one])
        dots[word] = len(marks(figure.axes[0], "."))
        assert one.word == word
    assert dots == {"no effect": 1, "undecided": 0, "supported": 0}
    assert "with a dot: no effect" in {text.get_text() for text in figure.legends[0].get_texts()}


def test_another_reading_is_a_cross_and_that_of_an_arm_that_does_not_decide_is_left_out():
    (axis,) = worth_of_parts([found("dropout_error")]).axes
    assert len(marks(axis, "x")) == 1
    depth = found("depth")
    (axis,) = worth_of_parts([depth]).axes
    assert set(depth.readings) == {"without-2-signal-kept", "without-3-signal-kept"}
    assert len(marks(axis, "x")) == sum(label.startswith(depth.verdict.treated) for label in depth.readings)
    assert f"({depth.verdict.treated})" in names(axis)[0]


@pytest.mark.parametrize(
    "others",
    [
        [],
        [found("dropout_slower", [5.0, 5.1, 5.2])],  # a time
        [found("response_norm", role="machinery")],  # no evidence
        [found("response_norm", [41.0])],  # not judged yet
    ],
)
def test_without_a_finding_about_an_error_there_is_no_picture(others):
    assert worth_of_parts(others) is None


def of_two_machines(name: str) -> SimpleNamespace:
    """A finding whose control ran on two machines."""
    one = found(name)
    (control, *rest) = one.arms
    return SimpleNamespace(
        **vars(one) | {"arms": (arm_of(control.label, {HERE: FIVE, THERE: FIVE[:2]}), *rest), "machines": (HERE, THERE)}
    )


@pytest.mark.parametrize(("draw", "name", "at"), [(errors_at_end, "response_norm", 0), (time_to_target, "dropout_slower", 1)])
def test_each_machines_runs_are_filled_in_their_own_way_and_named(draw, name, at):
    figure = draw([of_two_machines(name)])
    of_control = [line for line in figure.axes[at].lines if line.get_marker() == "o" and line.get_color() == PALETTE[0]]
    fills = [line.get_fillstyle() for line in of_control]
    assert [fills.count(fill) for fill in FILLS] == [5, 2, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [HERE, THERE]


def test_runs_without_a_value_stand_beside_the_number_of_those_with_one():
    one = found("response_norm")
    arms = (arm_of("2012", [40.0, None, 40.1]), *one.arms[1:])
    labels = [
        text.get_text() for text in errors_at_end([SimpleNamespace(**vars(one) | {"arms": arms})]).axes[0].get_yticklabels()
    ]
    assert labels[0] == "2012 (n=2, 1 without)"


@pytest.mark.parametrize(("last", "never", "end"), [(8.0, False, 9.2), (8.0, True, 40.0)])
def test_the_axis_of_times_ends_soon_after_the_last_run_if_all_arrived(last, never, end):
    one = found("dropout_slower", [5.0, 6.0, None if never else last])
    arms = (arm_of("dropout", [4.0, 4.5, last]), *one.arms[1:2])
    right = time_to_target([SimpleNamespace(**vars(one) | {"arms": arms})]).axes[1].get_xlim()[1]
    assert right >= end if never else right == pytest.approx(end)


def test_figure_3_has_a_row_for_each_run_whose_kernels_were_kept():
    claim = CLAIMS["column_colour"]
    kernels = [[[[float(i == c)] for _ in range(1)] for c in range(3)] for i in range(4)]  # 4 kernels, 3 colours, a pixel
    kept = ({claim.measure.stored_as: kernels}, {}, {claim.measure.stored_as: kernels})
    arm = dataclasses.replace(arm_of("2012", [1.0, None, 3.0]), chances=(0.5, None, 0.04), from_weights=kept)
    one = SimpleNamespace(**vars(found("response_norm")) | {"claim": claim, "arms": (arm,)})
    rows = figure_3(claim.measure, [one]).axes[1].get_yticklabels()
    assert [text.get_text() for text in rows] == ["seed 0", "seed 2"]


def test_nearest_images_are_no_part_of_the_network():
    assert not any(is_kind(NeighbourGain()) for is_kind in KINDS.values())
