"""study/report/figures: what each part is worth, and how many runs of several machines are drawn, from made-up findings."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_up_arms import HERE, THERE, arm_of, case_of, decided
from made_up_findings import CLAIMS, FEW, FIVE, HIGHER, LITTLE, SCALE, WIDE, MadeUp, at_own, found, lanes, titles
from matplotlib.text import Text

from study.questions.measures import NeighbourGain
from study.record.tables import TEST_COLUMNS
from study.report.figures.errors import errors_at_end
from study.report.figures.figure_3 import figure_3
from study.report.figures.parts import KINDS, worth_of_parts
from study.report.figures.rates import rates
from study.report.figures.style import MACHINE_MARKS, PALETTE, color_of
from study.report.figures.time_to_target import time_to_target
from study.report.figures.verdicts import verdict_forest
from study.report.paper_tables import paper_tables
from study.report.phrases import NO_INTERVAL


def marks(axis, mark: str) -> list:
    return [line for line in axis.lines if line.get_marker() == mark]


def test_the_largest_effect_in_the_papers_direction_stands_above_whatever_its_sign():
    small, large = found("response_norm", LITTLE), found("colour_noise", HIGHER)
    lower = found("batch_norm", [35.0, 35.1, 35.2])  # below 0 is expected: worth 5 points
    (axis,) = worth_of_parts([small, lower, large]).axes
    assert titles(axis) == [one.claim.title for one in (lower, large, small)]
    assert [line.get_xdata()[0] for line in marks(axis, "o")] == pytest.approx([4.9, 2.0, 0.33], abs=0.1)


def test_a_part_has_a_line_for_each_regime_in_one_row():
    both = [found("response_norm"), found("response_norm", LITTLE, scale=FEW)]
    (axis,) = worth_of_parts(both).axes
    assert titles(axis) == [both[0].claim.title] and len(marks(axis, "o")) == len(marks(axis, "s")) == 1


def test_a_row_stands_where_its_effects_at_the_shared_rate_put_it_however_large_those_at_own_rates_are():
    large, middle = found("dropout_error", HIGHER), found("response_norm", [41.0, 41.1, 40.95], FEW)
    for own in (at_own("dropout_error", LITTLE), at_own("response_norm", [49.0, 49.1, 48.95])):
        (axis,) = worth_of_parts([own, middle, large]).axes
        assert titles(axis) == [one.claim.title for one in (large, middle)]


def test_another_reading_has_a_lane_below_its_regime_by_the_name_of_its_arm():
    one, other = found("dropout_error"), found("dropout_error", scale=FEW)
    (axis,) = worth_of_parts([one, other]).axes
    assert lanes(axis) == [SCALE, "factor-only", FEW, "factor-only"]
    effect = one.readings["factor-only"]
    expected = f"{effect.estimate:+.2f} [{effect.lower:.2f}, {effect.upper:.2f}]"
    (name, *_) = (text for text in axis.texts if text.get_text() == "factor-only")
    assert expected in [text.get_text() for text in axis.texts if text.xy[1] == name.xy[1]]


def test_a_finding_that_was_run_again_has_a_lane_with_what_its_fresh_seeds_say():
    one = found("response_norm", HIGHER)
    effect = replace(one.verdict.effect, estimate=0.2, lower=-0.3, upper=0.7)
    one.replicated = (SimpleNamespace(effect=effect, pairs=10, outcome="not confirmed"),)
    (axis,) = worth_of_parts([one]).axes
    assert [line.get_xdata()[0] for line in marks(axis, "+")] == [0.2] and "fresh seeds, not confirmed" in lanes(axis)
    assert [line.get_xdata()[0] for line in marks(axis, "o")] == [one.verdict.effect.estimate]  # the verdict's own mark stays


def test_where_regimes_differ_in_the_arm_that_decides_each_lane_names_its_own():
    one, other = found("depth"), found("depth", scale=FEW)
    (axis,) = worth_of_parts([one, other]).axes
    assert titles(axis) == [f"{one.claim.title} ({one.verdict.treated})"]
    other.verdict = replace(other.verdict, look=replace(other.verdict.look, treated="without-4"))
    (axis,) = worth_of_parts([one, other]).axes
    assert titles(axis) == [one.claim.title]
    assert [name for name in lanes(axis) if "kept" not in name] == [f"{SCALE}, {one.verdict.treated}", f"{FEW}, without-4"]


def test_the_legend_says_for_how_many_epochs_a_regime_trains():
    one = found("response_norm")
    legends = [text.get_text() for legend in worth_of_parts([one]).legends for text in legend.get_texts()]
    assert any(text.endswith(f", for {one.arms[0].budget_epochs} epochs") for text in legends)


def test_errors_of_each_kind_have_an_axis_of_their_own():
    names = (
        "weight_decay",
        "dropout_overfits",
        "response_norm",
        "response_norm_top5",
        "overlap_pooling_top5",
        "two_columns_top5",
    )
    figure = worth_of_parts([found(name) for name in names])
    assert len(titles(figure.axes[list(KINDS).index("top-5 test error")])) == 3
    assert [axis.get_xlabel().partition(", ")[0] for axis in figure.axes] == [f"points of {kind}" for kind in KINDS]


@pytest.mark.parametrize(("treated", "filled"), [(HIGHER, True), (WIDE, False), (FIVE, False)])
def test_a_mark_is_filled_where_a_direction_is_decided(treated, filled):
    one = found("response_norm", treated)
    (axis,) = worth_of_parts([one]).axes
    (mark,) = marks(axis, "o")
    assert filled == (one.verdict.direction == "supported") == (mark.get_markerfacecolor() != "white")


def test_no_effect_has_a_mark_of_its_own_which_the_legend_names():
    """It stands between two bars, where what matters begins, and not those of an open claim."""
    bars = {}
    for word, treated in (("no effect", FIVE), ("undecided", WIDE), ("supported", HIGHER)):
        one = found("response_norm", treated)
        figure = worth_of_parts([one])
        bars[word] = [list(line.get_xdata()) for line in marks(figure.axes[0], "|")]
        assert one.word == word
    assert bars == {"no effect": [[-0.5, 0.5]], "undecided": [], "supported": []}
    texts = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert "hollow between two bars: no effect" in texts
    assert "hollow: undecided, or decided alone" in texts


def test_training_errors_on_one_axis_say_when_each_is_measured():
    (axis,) = worth_of_parts([found("weight_decay"), found("bias_init")]).axes
    assert {name.partition(" (")[2] for name in titles(axis)} == {"at the end)", "running error, first epoch)"}


def test_a_part_points_to_the_side_that_the_picture_of_all_claims_has_it_on_and_both_say_what_the_sides_mean():
    both = [found("ten_views", [-2.0, -2.1, -1.9]), found("colour_noise", [38.0, 38.1, 37.9])]
    both[0] = found(
        "ten_views", verdict=decided(CLAIMS["ten_views"], {"2012": arm_of("2012", [-2.0, -2.1, -1.9, -2.05, -2.0])})
    )
    places = {}
    for draw in (worth_of_parts, verdict_forest):
        (axis,) = draw(both).axes
        (first, second) = (line for line in axis.lines if line.get_marker() in ("o", "v"))
        places[draw] = [first.get_xdata()[0] > 0, second.get_xdata()[0] > 0]
        texts = {text.get_text(): text for text in axis.texts}
        against, as_said = texts["← against the claim"], texts["as the claim says →"]
        assert against.get_ha() == "right" and against.xyann[0] < as_said.xyann[0]
        assert not any("-" in label.get_text() or "−" in label.get_text() for label in axis.get_xticklabels())
        assert any("-2.01" in text for text in texts), "its number keeps the sign that it has in the tables"
    assert set(places[worth_of_parts]) == set(places[verdict_forest]) == {True, False}


def test_every_effect_that_has_an_interval_is_drawn_with_it_the_same_asked_in_another_way_too():
    one = found("dropout_error", [42.0, 42.1, 41.95])
    ((label, like),) = one.readings.items()
    reading = replace(like, estimate=-1.0, lower=-3.0, upper=1.0)
    (axis,) = worth_of_parts([MadeUp(**vars(one) | {"readings": {label: reading}})]).axes
    (cross,) = marks(axis, "x")
    height = cross.get_ydata()[0]
    ends = [sorted(line.get_xdata()) for line in axis.lines if len(line.get_xdata()) == 2 and set(line.get_ydata()) == {height}]
    assert ends == [pytest.approx([reading.lower, reading.upper])]
    assert f"[{reading.lower:.2f}, {reading.upper:.2f}]" in " ".join(text.get_text() for text in axis.texts)


def test_an_effect_without_an_interval_says_so_beside_it():
    one = found("dropout_error")
    (label,) = one.readings
    alone = replace(one.readings[label], lower=-math.inf, upper=math.inf)
    (axis,) = worth_of_parts([MadeUp(**vars(one) | {"readings": {label: alone}})]).axes
    assert sum(NO_INTERVAL in text.get_text() for text in axis.texts) == 1


def test_every_number_stands_beside_the_runs_that_it_rests_on():
    one = found("response_norm")
    (axis,) = worth_of_parts([one]).axes
    assert "3+5" in [text.get_text() for text in axis.texts]


def test_another_reading_is_a_cross_and_that_of_an_arm_that_does_not_decide_is_left_out():
    (axis,) = worth_of_parts([found("dropout_error")]).axes
    assert len(marks(axis, "x")) == 1
    depth = found("depth")
    (axis,) = worth_of_parts([depth]).axes
    assert set(depth.readings) == {"without-2-signal-kept", "without-3-signal-kept"}
    assert len(marks(axis, "x")) == sum(label.startswith(depth.verdict.treated) for label in depth.readings)
    assert f"({depth.verdict.treated})" in titles(axis)[0]


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


def of_two_machines(name: str) -> MadeUp:
    """A finding whose control ran on two machines."""
    one = found(name)
    (control, *rest) = one.arms
    return MadeUp(
        **vars(one) | {"arms": (arm_of(control.label, {HERE: FIVE, THERE: FIVE[:2]}), *rest), "machines": (HERE, THERE)}
    )


@pytest.mark.parametrize(("draw", "name", "at"), [(errors_at_end, "response_norm", 0), (time_to_target, "dropout_slower", 1)])
def test_each_machines_runs_have_a_shape_of_their_own_which_the_legend_names(draw, name, at):
    one = of_two_machines(name)
    figure, color = draw([one]), color_of(one.claim, one.arms[0].label)
    of_both = [line.get_marker() for line in figure.axes[at].lines if line.get_color() == color]
    assert [of_both.count(mark) for mark in MACHINE_MARKS[:3]] == [5, 2, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == [HERE, THERE]


CARD, PROCESSOR = "card", "processor"


def words_of(figure) -> str:
    """All that a picture says."""
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


@pytest.mark.parametrize("draw", [errors_at_end, worth_of_parts])
def test_a_machine_none_of_whose_runs_has_a_value_is_not_named(draw):
    one = found("response_norm")
    (control, *rest) = one.arms
    arms = (arm_of(control.label, {CARD: FIVE, PROCESSOR: [None, "diverged"]}), *rest)
    words = words_of(draw([MadeUp(**vars(one) | {"arms": arms, "machines": (PROCESSOR, HERE, CARD)})]))
    assert CARD in words and PROCESSOR not in words


def test_a_machine_all_of_whose_runs_never_arrived_is_named_as_they_are_drawn():
    one = found("dropout_slower")
    (control, *rest) = one.arms
    arms = (arm_of(control.label, {CARD: FIVE, PROCESSOR: [None]}), *rest)
    figure = time_to_target([MadeUp(**vars(one) | {"arms": arms, "machines": (HERE, CARD, PROCESSOR)})])
    assert PROCESSOR in words_of(figure)


def test_runs_that_the_verdict_rests_on_are_filled_and_later_ones_hollow():
    """Of the first look are three runs of the arm and five of the control."""
    one = found("response_norm")
    more = {"2012": [*FIVE, 40.3, 40.4], "none": [*HIGHER, 42.4]}
    arms = tuple(arm_of(label, values) for label, values in more.items())
    axis = errors_at_end([MadeUp(**vars(one) | {"arms": arms})]).axes[0]
    filled = {line.get_xdata()[0]: line.get_fillstyle() == "full" for line in marks(axis, "o")}
    assert filled == {value: value in FIVE + HIGHER for values in more.values() for value in values}


def test_the_judged_effect_stands_above_that_of_all_runs_where_these_are_more():
    one = found("response_norm")
    arms = {label: arm_of(label, values) for label, values in (("2012", FIVE), ("none", [*HIGHER, 43.0]))}
    by_all = case_of(one.claim, arms).compare("none", "2012")
    more = MadeUp(**vars(one) | {"arms": tuple(arms.values()), "effects": {"none": by_all}})
    below = errors_at_end([more]).axes[1]
    assert [label.get_text() for label in below.get_yticklabels()] == ["none, judged", "none, all runs"]
    for row, effect in enumerate((one.verdict.effect, by_all)):
        (interval,) = (line for line in below.lines if list(line.get_ydata()) == [row, row])
        assert list(interval.get_xdata()) == pytest.approx([effect.lower, effect.upper])


def test_of_an_interaction_the_difference_of_differences_is_drawn_and_named_by_its_arms():
    """All arms but the control have the same runs, so that it is the control's mean minus theirs, of three seeds."""
    figure = errors_at_end([found("batch_norm_dropout")])
    below = figure.axes[1]
    (mark,) = (line for line in marks(below, "D") if line.get_ydata()[0] == 0)
    assert mark.get_xdata()[0] == pytest.approx(sum(FIVE[:3]) / 3 - sum(HIGHER) / 3)
    name = below.get_yticklabels()[0].get_text().replace("\n", " ")
    assert name == "(batch+no-dropout − batch) − (no-dropout − 2012), judged"


def of_nets(count: int, **more) -> MadeUp:
    """A finding on averaged nets from so many runs."""
    claim, arm = CLAIMS["averaged_nets"], arm_of("2012", [*FIVE, 40.3][:count], **more)
    return MadeUp(
        **vars(found("response_norm"))
        | {"claim": claim, "arms": (arm,), "effects": {}, "verdict": decided(claim, {"2012": arm})}
    )


def test_averaged_nets_have_a_row_of_their_own_and_the_nets_that_were_averaged_are_filled():
    top1 = {"averaged": 0.38, "alone": 0.4, "standard_error": 0.001}
    ensemble = {"runs": [f"2012 {seed} {HERE}" for seed in range(5)], "nets": 5, "images": 10_000, "ten_views_top1": top1}
    above, below = errors_at_end([of_nets(6, ensemble=ensemble)]).axes
    (star,) = marks(above, "*")
    assert star.get_xdata() == [pytest.approx(38.0)]
    assert above.get_yticklabels()[-1].get_text() == "those 5 averaged"
    assert [line.get_fillstyle() for line in marks(above, "o")] == ["full"] * 5 + ["none"]
    assert below.get_yticklabels()[0].get_text() == "judged"


def test_the_papers_tables_are_of_the_nets_that_learned_something():
    errors = [dict.fromkeys(TEST_COLUMNS, error) for error in (0.4, 0.4, 0.9)]
    one = of_nets(3, errors=errors, learned_nothing=(False, False, True))
    (table,) = paper_tables(one.claim.measure, one)
    assert table["head"][1].startswith("top-1, n=2") and table["rows"][0][1] == "40.0%"


def test_with_too_few_nets_there_is_no_panel_of_effects_and_the_title_says_how_many_there_are():
    (only,) = errors_at_end([of_nets(3)]).axes
    assert "not compared yet, with 3 of the 5 nets" in only.get_title()


def test_without_a_run_of_the_control_no_other_arm_has_its_colour_and_nothing_is_compared():
    one = found("dropout_error")
    alone = MadeUp(**vars(one) | {"arms": one.arms[1:2], "effects": {}, "verdict": decided(one.claim, {})})
    (only,) = errors_at_end([alone]).axes
    assert {line.get_color() for line in only.lines} == {PALETTE[1]} and "no run of dropout" in only.get_title()


def test_runs_without_a_value_stand_beside_the_number_of_those_with_one():
    one = found("response_norm")
    arms = (arm_of("2012", [40.0, None, 40.1]), *one.arms[1:])
    labels = [text.get_text() for text in errors_at_end([MadeUp(**vars(one) | {"arms": arms})]).axes[0].get_yticklabels()]
    assert labels[0] == "2012 (n=2, 1 without)"


def test_an_arrow_of_runs_that_never_arrived_is_filled_where_the_verdict_rests_on_them():
    """Of the first look are five runs of dropout and three without; the sixth of dropout came later."""
    one = found("dropout_slower", [None] * 3, control=[None] * 6)
    arrows = time_to_target([one]).axes[1]
    rows = {label.get_text(): at for at, label in enumerate(arrows.get_yticklabels())}
    drawn = {
        name: [line.get_markerfacecolor() != "none" for line in marks(arrows, ">") if round(line.get_ydata()[0]) == at]
        for name, at in rows.items()
    }
    assert drawn["none"] == [True] and drawn["dropout"] == [True, False]
    assert [text.get_text() for text in arrows.texts if round(text.xy[1]) == rows["dropout"]] == ["5 never", "1 never"]


def test_of_curves_that_run_together_the_broken_and_thinner_one_is_on_top():
    shares = time_to_target([found("dropout_slower", [None] * 3, control=[None] * 6)]).axes[0].lines
    solid, dashed = (next(line for line in shares if line.get_linestyle() == style) for style in ("-", "--"))
    assert solid.get_zorder() < dashed.get_zorder() and solid.get_linewidth() > dashed.get_linewidth()


@pytest.mark.parametrize(("last", "never", "end"), [(8.0, False, 9.2), (8.0, True, 40.0)])
def test_the_axis_of_times_ends_soon_after_the_last_run_if_all_arrived(last, never, end):
    one = found("dropout_slower", [5.0, 6.0, None if never else last])
    arms = (arm_of("dropout", [4.0, 4.5, last]), *one.arms[1:2])
    right = time_to_target([MadeUp(**vars(one) | {"arms": arms})]).axes[1].get_xlim()[1]
    assert right >= end if never else right == pytest.approx(end)


def test_all_panels_of_times_have_one_axis_and_two_stand_in_a_row():
    one = found("dropout_slower", [5.0, 6.0, 5.5])
    late = found("dropout_slower", [20.0, 24.0, 31.0])
    axes = time_to_target([one, late, one]).axes
    assert {axis.get_xlim() for axis in axes} == {(0, 1.15 * max(FIVE))}
    rows = [axis.get_subplotspec().rowspan.start for axis in axes]
    assert rows == [0, 1, 0, 1, 2, 3]


def test_figure_3_has_a_row_for_each_run_whose_kernels_were_kept_and_says_in_which_colour_is_seen():
    claim = CLAIMS["column_colour"]
    kernels = [[[[float(i == c)] for _ in range(1)] for c in range(3)] for i in range(4)]  # 4 kernels, 3 colours, a pixel
    kept = ({claim.measure.stored_as: kernels}, {}, {claim.measure.stored_as: kernels})
    arm = arm_of("2012", [1.0, None, 3.0], chance=(0.5, None, 0.04), from_weights=kept)
    one = MadeUp(**vars(found("response_norm")) | {"claim": claim, "arms": (arm,)})
    figure = figure_3(claim.measure, [one])
    shares = figure.axes[1]
    assert [text.get_text() for text in shares.get_yticklabels()] == ["seed 0", "seed 2"]
    beside = [text.get_text() for text in shares.texts if text.xy[0] > 1]
    assert beside == ["1 points, 0.5", "3 points, 0.04, seen", "difference,\np by chance"]


def test_nearest_images_are_no_part_of_the_network():
    assert not any(is_kind(NeighbourGain()) for is_kind in KINDS.values())


def test_figure_3_names_only_machines_whose_kernels_are_drawn_and_counts_no_other_run_as_shown():
    claim = CLAIMS["column_colour"]
    kernels = [[[[float(i == c)]] for c in range(3)] for i in range(4)]
    kept = [{claim.measure.stored_as: kernels}] * 3 + [{}]
    chances = {"chance": (0.5, 0.04, 0.6, None), "power": (1.0, 1.0, 1.0, None)}
    arm = arm_of("2012", {CARD: [1.0, 3.0, 2.0], PROCESSOR: [None]}, from_weights=kept, **chances)
    verdict = decided(claim, {"2012": arm_of("2012", {CARD: [1.0, 3.0, 2.0]}, **{k: v[:3] for k, v in chances.items()})})
    facts = {"claim": claim, "arms": (arm,), "machines": (PROCESSOR, CARD), "verdict": verdict}
    words = words_of(figure_3(claim.measure, [MadeUp(**vars(found("response_norm")) | facts)]))
    assert CARD in words and PROCESSOR not in words and "of the runs shown" not in words


def test_the_search_for_rates_names_the_machine_of_its_trials_and_not_that_of_the_runs():
    one = at_own("batch_norm", machines=(PROCESSOR,))
    trials = [{"value": 0.01, "validation_error": 0.3, "epochs": 12, "outcome": "finished"}]
    entry = {"trials": trials, "value": 0.01, "tuned_on": "made up", "machine": CARD}
    arms = tuple(replace(arm_of(arm.label, {PROCESSOR: FIVE}), tuned=entry) for arm in one.arms)
    words = words_of(rates([MadeUp(**vars(one) | {"arms": arms})]))
    assert CARD in words and PROCESSOR not in words
