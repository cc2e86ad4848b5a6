"""study/report/figures: the lines and marks of the pictures stand where their numbers say, read off the axes."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_result, write_tuned
from made_up_arms import HERE, THERE, with_runs
from matplotlib.colors import to_hex
from matplotlib.text import Annotation
from scipy import stats

from alexnet.recipe import ALEXNET_32, FIGURE_1_A, changed
from study.judge.contrasts import Contrast
from study.judge.evidence import Finding, find
from study.plan.claim_files import all_claims
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.own_rates import at_own_rates
from study.record import tables
from study.report.figures.architecture import architecture, draw_architecture
from study.report.figures.curves import training_curves
from study.report.figures.errors import errors_at_end
from study.report.figures.factorial import effects_and_interactions, in_order
from study.report.figures.rates import rates
from study.report.figures.style import MARKS, style
from study.report.figures.time_to_target import time_to_target
from study.report.figures.together import at_several_scales, effects_side_by_side
from study.report.figures.verdicts import verdict_forest

CLAIMS = all_claims()
HIGHER = {"2012": [0.400, 0.410, 0.405, 0.395, 0.402], "none": [0.440, 0.452, 0.431]}
TIMES = {"relu": [5.0, 5.5, 6.1, 5.2, 5.6], "tanh": [20.0, 24.0, 31.0]}


@pytest.fixture(scope="module")
def norm(tmp_path_factory) -> Finding:
    """response_norm from made-up runs: each with its test errors, and a curve that falls by a tenth an epoch from its own
    height."""
    folder, runs = tmp_path_factory.mktemp("norm"), []
    write_tuned(folder, {})
    for planned in make_plan("response_norm", "cifar10-jpeg", "0" * 12, Tuned.read(folder), bases=["ALEXNET_32"]):
        if planned.arm in HIGHER:
            error, made = HIGHER[planned.arm][planned.seed], made_up_result(planned, crossing=None)
            points = tuple(replace(one, running_error=error * 0.9**one.epoch) for one in made.points)
            runs.append(replace(made, test_error_ten_views=error, answers=None, points=points))
    tables.merge(folder, runs)
    (one,) = find(folder, {"response_norm": CLAIMS["response_norm"]}).found
    return one


def lines_at(axis, y: float) -> list[tuple[np.ndarray, str]]:
    """What is drawn at a height: the places on the axis, and the mark."""
    return [
        (line.get_xdata(), line.get_marker())
        for line in axis.lines
        if np.allclose(line.get_ydata(), y) and len(line.get_xdata())
    ]


def test_a_claims_tick_of_the_paper_is_at_the_papers_number_and_its_mark_at_ours(norm):
    """In multiples of the margin of half a point: 1.4 points are 2.8, though ours is another number."""
    with style():
        axis = verdict_forest([norm]).axes[0]
    ticks = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|" and line.get_color() == "black"]
    assert ticks == [pytest.approx(1.4 / 0.5)]
    effect = norm.verdict.effect
    ends = [tuple(line.get_xdata()) for line in axis.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2]
    assert (pytest.approx(effect.lower / 0.5), pytest.approx(effect.upper / 0.5)) in ends
    assert abs(effect.estimate - 1.4) > 1


@pytest.mark.parametrize("row", [0, 1])
def test_every_mean_has_the_t_interval_of_its_arms_runs(norm, row):
    values = 100 * np.array(HIGHER[norm.arms[row].label])
    expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    with style():
        axis = errors_at_end([norm]).axes[0]
    ((interval, _), (mean, mark)) = lines_at(axis, row + 0.32)
    np.testing.assert_allclose(interval, expected)
    assert (mark, mean[0]) == ("|", pytest.approx(values.mean()))


def test_below_an_arm_has_its_effect_and_both_ends_of_its_interval(norm):
    with style():
        axis = errors_at_end([norm]).axes[1]
    (interval, _), (estimate, _) = lines_at(axis, 0)
    effect = norm.effects["none"]
    np.testing.assert_allclose([*interval, *estimate], [effect.lower, effect.upper, effect.estimate])


def test_a_curve_has_a_band_from_its_least_to_its_highest_run_and_a_line_at_their_mean(norm):
    with style():
        axis = training_curves([norm]).axes[0]
    errors, epochs = 100 * np.array(HIGHER["2012"]), 7
    corners = axis.collections[1].get_paths()[0].vertices  # after the thin lines of the same arm
    here = sorted(corners[np.isclose(corners[:, 0], epochs), 1])
    np.testing.assert_allclose([here[0], here[-1]], np.array([errors.min(), errors.max()]) * 0.9**epochs)
    mean = next(line for line in axis.lines if line.get_label().startswith("2012"))
    assert mean.get_ydata()[epochs - 1] == pytest.approx(errors.mean() * 0.9**epochs)


def test_the_share_of_seeds_not_there_yet_falls_when_a_run_arrives_and_not_before(tmp_path):
    write_tuned(tmp_path, {"A-2012": {"relu": 0.01, "tanh": 0.02}}, scale="cifar10-jpeg")
    planned_runs = make_plan("relu_sooner", "cifar10-jpeg", "0" * 12, Tuned.read(tmp_path), bases=["A-2012"])
    tables.merge(tmp_path, [made_up_result(planned, TIMES[planned.arm][planned.seed]) for planned in planned_runs])
    (one,) = find(tmp_path, {"relu_sooner": CLAIMS["relu_sooner"]}).found
    with style():
        axis = time_to_target([one]).axes[0]
    (tanh,) = (line for line in axis.lines if line.get_label().startswith("tanh"))
    assert tanh.get_drawstyle() == "steps-post"  # each height holds until the next arrival
    drawn = dict(zip(tanh.get_xdata(), tanh.get_ydata(), strict=True))
    assert [drawn[time] for time in TIMES["tanh"]] == pytest.approx([2 / 3, 1 / 3, 0])


def test_a_rate_that_never_arrived_has_no_place_on_the_axis_of_epochs_but_a_named_row_of_its_own(tmp_path):
    write_tuned(tmp_path, {"A-2012": {"relu": 0.01, "tanh": 0.02}}, scale="cifar10-jpeg")
    planned_runs = make_plan("relu_sooner", "cifar10-jpeg", "0" * 12, Tuned.read(tmp_path), bases=["A-2012"])
    tables.merge(tmp_path, [made_up_result(planned, TIMES[planned.arm][planned.seed]) for planned in planned_runs])
    (one,) = find(tmp_path, {"relu_sooner": CLAIMS["relu_sooner"]}).found
    tried = (("reached", 0.01, 5.0), ("diverged", 0.02, None), ("stalled", 0.04, None), ("stopped", 0.08, None))
    trials = [{"value": rate, "outcome": end, "epochs": 2, "epochs_to_target": time} for end, rate, time in tried]
    arms = tuple(replace(arm, tuned={"trials": trials, "value": 0.01, "tuned_on": "made up"}) for arm in one.arms)
    with style():
        above, below = rates([replace(one, arms=arms)]).axes
    assert [line.get_xydata().tolist() for line in above.lines] == [[[0.01, 5.0]]] * len(arms)
    rows = [label.get_text().removeprefix("no value: ") for label in below.get_yticklabels()]
    assert rows == ["dropped early by the search", "diverged", "did not learn"]
    for line in below.lines:
        named = {rate: rows[round(height)] for rate, height in line.get_xydata().tolist()}
        assert named == {0.02: "diverged", 0.04: "did not learn", 0.08: "dropped early by the search"}


def test_validation_errors_of_a_search_are_drawn_in_percent(norm):
    trials = [{"value": rate, "validation_error": error, "epochs": 12} for rate, error in ((0.01, 0.31), (0.02, 0.29))]
    arms = tuple(replace(arm, tuned={"trials": trials, "value": 0.02, "tuned_on": "made up"}) for arm in norm.arms[:2])
    searched = replace(norm, claim=at_own_rates("response_norm", norm.claim), arms=arms)
    with style():
        line = rates([searched]).axes[0].lines[0]
    np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], [[0.01, 0.02], [31.0, 29.0]])


def test_every_arm_of_a_search_has_a_line_and_a_mark_of_its_own_which_the_legend_shows(norm):
    trials = [{"value": rate, "validation_error": error, "epochs": 12} for rate, error in ((0.01, 0.31), (0.02, 0.29))]
    arms = tuple(replace(arm, tuned={"trials": trials, "value": 0.02, "tuned_on": "made up"}) for arm in norm.arms[:2])
    with style():
        figure = rates([replace(norm, claim=at_own_rates("response_norm", norm.claim), arms=arms)])
    drawn = [(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines]
    assert len({line for line, _ in drawn}) == len({mark for _, mark in drawn}) == 2
    shown = figure.legends[0].legend_handles
    assert [(line.get_linestyle(), line.get_marker()) for line in shown] == drawn


def test_an_arm_that_was_searched_and_has_no_run_yet_has_its_trials_in_the_picture(norm):
    trials = [{"value": rate, "validation_error": error, "epochs": 12} for rate, error in ((0.01, 0.31), (0.02, 0.29))]
    entry = {"trials": trials, "value": 0.02}
    searched = replace(norm, claim_name="norm_own_rate", claim=at_own_rates("response_norm", norm.claim))
    alone = replace(searched, arms=(replace(norm.arms[1], tuned={**entry, "tuned_on": "made up"}),))
    tuned = Tuned().with_entry(Asked(searched.claim_name, norm.scale, norm.base, "2012"), entry)
    with style():
        figure = rates([alone], tuned)
    assert len(figure.axes[0].lines) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["2012", "none"]


def test_rates_that_have_no_trials_have_no_picture_and_those_beside_them_keep_theirs(norm):
    trials = [{"value": rate, "validation_error": error, "epochs": 12} for rate, error in ((0.01, 0.31), (0.02, 0.29))]
    given = {"value": 0.02, "tuned_on": "made up"}
    for each, lines in (([], []), None), ((trials, []), 1):
        arms = tuple(replace(arm, tuned={**given, "trials": own}) for arm, own in zip(norm.arms[:2], each, strict=True))
        with style():
            figure = rates([replace(norm, claim=at_own_rates("response_norm", norm.claim), arms=arms)])
        assert (figure and len(figure.axes[0].lines)) == lines


def test_effects_stand_single_parts_first_and_the_largest_of_a_kind_above():
    design = CLAIMS["interactions_of_four"].rule.design
    sizes = dict(zip((group.name for group in design.groups), itertools.cycle((0.3, -2.0, 1.1)), strict=False))
    made = {
        name: Contrast(
            estimate=size, lower=-9.0, upper=9.0, level=0.95, standard_error=1.0, sd=1.0, degrees_of_freedom=30, blocks=3,
            left_out=0,
        )
        for name, size in sizes.items()
    }  # fmt: skip
    order = [(group.parts, -abs(sizes[group.name])) for group in in_order(design.groups, made)]
    assert order == sorted(order) and len(set(order)) > 3


def of_four_parts(folder, scale: str, seeds: int) -> list[Finding]:
    """interactions_of_four from made-up runs, alone in a folder."""
    folder = folder / f"{scale}-{seeds}"
    write_tuned(folder, {})
    planned_runs = make_plan("interactions_of_four", scale, "0" * 12, Tuned.read(folder), seeds=seeds)
    errors = {planned.key: 0.3 + 0.01 * place % 0.07 for place, planned in enumerate(planned_runs)}
    made = [replace(made_up_result(c, None), test_error_ten_views=errors[c.key], answers=None) for c in planned_runs]
    tables.merge(folder, made)
    return find(folder, {"interactions_of_four": CLAIMS["interactions_of_four"]}).found


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """By scale and seeds."""
    folder = tmp_path_factory.mktemp("four")
    return {asked: of_four_parts(folder, *asked) for asked in (("cifar10-jpeg", 1), ("cifar10-jpeg-2500", 2))}


def test_cells_of_a_design_stand_in_the_order_of_their_errors_in_one_colour_without_a_panel_of_effects(four):
    with style():
        (axis,) = errors_at_end(four["cifar10-jpeg-2500", 2]).axes
    means = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"]
    assert len(means) == 16 and means == sorted(means)
    assert len({line.get_color() for line in axis.lines}) == 1


def test_of_two_runs_no_interval_is_drawn(four):
    with style():
        (axis,) = errors_at_end(four["cifar10-jpeg-2500", 2]).axes
    assert {len(line.get_xdata()) for line in axis.lines} == {1}


@pytest.mark.parametrize(("scale", "seeds"), [("cifar10-jpeg", 1), ("cifar10-jpeg-2500", 2)])
def test_effects_of_one_block_are_hollow_marks_without_a_line_and_the_picture_says_why(four, scale, seeds):
    with style():
        figure = effects_and_interactions(four[scale, seeds])
    (axis,), key = figure.axes, " ".join(text.get_text() for text in figure.legends[0].get_texts())
    marks = [line for line in axis.lines if line.get_marker() in MARKS]
    intervals = [line for line in axis.lines if line.get_linewidth() == 2 and len(line.get_xdata()) == 2]
    assert len(marks) == 15 and len(intervals) == (0 if seeds == 1 else 15)
    assert {line.get_markerfacecolor() == "white" for line in marks} == {seeds == 1}
    assert ("no interval" in key) == (seeds == 1)
    assert f"{seeds} block{'' if seeds == 1 else 's'} of 16 runs" in axis.get_title()


def test_parts_at_several_scales_stand_side_by_side_with_their_numbers_and_those_of_one_scale_do_not(four):
    found = [one for own in four.values() for one in own]
    assert at_several_scales(found) == {"interactions_of_four": found}
    assert at_several_scales(found[:1]) == {}
    with style():
        (axis,) = effects_side_by_side(found).axes
    texts = {text.get_text() for text in axis.texts}
    for one in found:
        for part in CLAIMS["interactions_of_four"].rule.design.factors:
            effect = one.verdict.contrasts[part]
            assert any(line.get_xdata()[0] == effect.estimate for line in axis.lines if line.get_marker() in MARKS)
            interval = f"[{effect.lower:.2f}, {effect.upper:.2f}]" if math.isfinite(effect.lower) else "(no interval)"
            assert f"{effect.estimate:+.2f} {interval}" in texts
    rows = [label.get_text() for label in axis.get_yticklabels()]
    worth = {
        f"without {part}": np.mean([o.verdict.contrasts[part].estimate for o in found])
        for part in ("norm", "overlap", "dropout", "decay")
    }
    assert rows == sorted(worth, key=lambda name: -worth[name])


def test_seeds_that_ran_on_several_machines_are_told_beside_the_blocks(four):
    """Two blocks of two seeds, and of one seed on two machines."""
    two_seeds = four["cifar10-jpeg-2500", 2][0]
    arms = tuple(with_runs(arm, seed=[0, 0], machine=[HERE, THERE]) for arm in two_seeds.arms)
    found = [*four["cifar10-jpeg", 1], replace(two_seeds, arms=arms)]
    with style():
        texts = [text.get_text() for text in effects_side_by_side(found).legends[0].get_texts()]
    assert texts[0].endswith("with the same seed")
    assert texts[1].endswith("2 blocks of 16 runs with the same seed (1 seed, some on several machines)")


def test_two_versions_of_the_images_of_a_scale_have_an_entry_each_in_the_legend(four):
    found = [replace(one, version=version) for one in four["cifar10-jpeg", 1] for version in ("f00d", "beef")]
    with style():
        texts = [text.get_text() for text in effects_side_by_side(found).legends[0].get_texts()]
    assert [text.partition(":")[0] for text in texts[:2]] == ["cifar10-jpeg f00d", "cifar10-jpeg beef"]


@pytest.mark.parametrize(
    ("recipe", "crossing"),
    [
        (ALEXNET_32, 6),  # layer 3 and two full layers see both columns: two lines each
        (changed(ALEXNET_32, {"model.layers.2.crosses": False}), 4),
        (FIGURE_1_A, 0),  # one column
    ],
)
def test_a_network_has_two_lines_across_for_each_layer_that_sees_both_columns(recipe, crossing):
    with style():
        figure = architecture(recipe.model, "made up")
    arrows = [one.arrow_patch for one in figure.findobj(Annotation) if one.arrow_patch]
    assert sum(to_hex(arrow.get_edgecolor()) == "#b2452f" for arrow in arrows) == crossing


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_file_of_a_drawn_network_has_no_date_and_the_same_bytes_each_time(kind, tmp_path):
    written = [draw_architecture(FIGURE_1_A.model, "made up", tmp_path / f"{name}.{kind}").read_bytes() for name in "ab"]
    assert written[0] == written[1] and b"Date" not in written[0]


def test_the_curves_of_a_time_to_a_test_error_are_test_errors_with_a_line_at_that_error(tmp_path):
    errors = {"dropout": 0.6, "none": 0.7}  # fall by a tenth an epoch
    runs = []
    for planned in make_plan("dropout_slower", "cifar10-jpeg", "0" * 12, Tuned.read(tmp_path), bases=["ALEXNET_32"]):
        if planned.arm in errors:
            made = made_up_result(planned, crossing=None)
            points = tuple(replace(one, test_error=errors[planned.arm] * 0.9**one.epoch) for one in made.points)
            runs.append(replace(made, answers=None, points=points, test_error=points[-1].test_error))
    tables.merge(tmp_path, runs)
    (one,) = find(tmp_path, {"dropout_slower": CLAIMS["dropout_slower"]}).found
    with style():
        axis = training_curves([one]).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    for arm, error in errors.items():
        np.testing.assert_allclose(lines[arm], 100 * error * 0.9 ** np.arange(1, len(lines[arm]) + 1))
    assert any(set(ydata) == {40.0} for ydata in lines.values()) and axis.get_ylabel() == "test error, %"
