"""Colour, line and mark of an arm: the same in all pictures of its claim, and the control's colour for the control alone."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from made_up_arms import arm_of, with_runs
from made_up_findings import CLAIMS, MANY, MadeUp, found
from matplotlib.lines import Line2D

from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import Claim
from study.questions.own_rates import at_own_rates
from study.questions.rules import Factorial, RatioOfTimes
from study.report.drawn import curves_of, points_of
from study.report.figures.curves import training_curves
from study.report.figures.errors import errors_at_end
from study.report.figures.figure_1 import figure_1
from study.report.figures.rates import rates
from study.report.figures.style import PALETTE, color_of, look_of, style
from study.report.figures.time_to_target import time_to_target

CURVE = {
    "epoch": np.arange(1.0, 13.0),
    "running_error": np.linspace(0.7, 0.3, 12),
    "train_error": np.linspace(0.7, 0.3, 12),
}
SEARCHED = {"trials": [{"value": 0.01, "validation_error": 0.3, "epochs": 12}], "value": 0.01, "tuned_on": "made up"}
NOT_FACTORIAL = [name for name, claim in CLAIMS.items() if not isinstance(claim.rule, Factorial)]


def of_arms(claim: Claim, labels: Iterable[str]) -> MadeUp:
    """A finding of which only these arms have runs."""
    runs = {"curve": [CURVE] * 3, "errors": [{"test_error": 0.4}] * 3, "tuned": SEARCHED}
    arms = [arm_of(label, [4.0, 4.1, 4.2], recipe=claim.recipe("ALEXNET_32", label), **runs) for label in labels]
    return MadeUp(**vars(found("fidelity", claim=claim)) | {"arms": tuple(arms)})


def by_arm(lines: Iterable[Line2D], labels: Iterable[str]) -> dict[str, str]:
    """The colours of the lines that are named after an arm."""
    colours = {line.get_label().partition(" (")[0]: line.get_color() for line in lines}
    return {label: colours[label] for label in labels if label in colours}


@pytest.mark.parametrize("claim", [*(CLAIMS[name] for name in NOT_FACTORIAL), MANY], ids=[*NOT_FACTORIAL, "many"])
def test_no_two_arms_look_alike_the_first_twelve_differ_in_colour_and_those_compared_share_theirs_with_none(claim):
    looks = {arm.label: look_of(claim, arm.label) for arm in claim.arms}
    assert len({(look["color"], look["linestyle"]) for look in looks.values()}) == len(looks)
    assert len({look["color"] for look in looks.values()}) == min(len(looks), len(PALETTE))
    assert looks[claim.rule.control]["color"] == PALETTE[0]
    colors = [look["color"] for look in looks.values()]
    assert all(colors.count(looks[label]["color"]) == 1 for label in (claim.rule.control, *claim.rule.treated_arms))


def test_an_arm_has_one_colour_in_all_pictures_of_errors_whichever_arms_have_runs():
    """Of fidelity's eleven arms the second has no runs, and the last has."""
    claim = at_own_rates("fidelity", CLAIMS["fidelity"])
    labels = [arm.label for place, arm in enumerate(claim.arms) if place in (0, 2, 3, 10)]
    one = of_arms(claim, labels)
    with style():
        errors, curves, searched = (draw([one]) for draw in (errors_at_end, training_curves, rates))
    means = [line for line in errors.axes[0].lines if line.get_marker() == "|"]
    drawn = [
        dict(zip(labels, (line.get_color() for line in means), strict=True)),
        by_arm(curves.axes[1].get_legend().get_lines(), labels),
        by_arm(searched.legends[0].get_lines(), labels),
        {arm["label"]: PALETTE[arm["colour"]] for arm in points_of(one)["arms"]},
        {name["label"]: PALETTE[name["colour"]] for name in curves_of(one)["names"]},
    ]
    assert drawn == [drawn[0]] * len(drawn) and len(set(drawn[0].values())) == len(labels)


def test_an_arm_has_one_colour_in_all_pictures_of_times_whichever_arms_have_runs():
    claim = CLAIMS["relu_sooner"]
    labels = ["relu", "sigmoid"]
    made = found("relu_sooner", base="A-2012")
    arms = [with_runs(arm, curve=[CURVE] * len(arm.runs)) for arm in made.arms if arm.label in labels]
    one = MadeUp(**vars(made) | {"arms": tuple(arms)})
    tuned = Tuned()
    for arm in claim.arms:
        trial = {"value": 0.01, "epochs_to_target": 5.0, "epochs": 5, "outcome": "reached"}
        tuned = tuned.with_entry(Asked(one.claim_name, one.scale, one.base, arm.label), {"trials": [trial], "value": 0.01})
    arms = [replace(arm, tuned={**SEARCHED, "trials": [trial]}) for arm in arms]
    with style():
        drawn = [
            by_arm(time_to_target([one]).axes[0].lines, labels),
            by_arm(figure_1(claim.measure, [one]).axes[0].lines, labels),
            by_arm(rates([MadeUp(**vars(one) | {"arms": tuple(arms)})], tuned).legends[0].get_lines(), labels),
        ]
    assert drawn == [{label: color_of(claim, label) for label in labels}] * 3


def test_no_claim_of_the_study_has_more_arms_than_there_are_colours():
    assert max(len(CLAIMS[name].arms) for name in NOT_FACTORIAL) <= len(PALETTE)


def test_arms_after_the_last_colour_are_drawn_too():
    of = MANY
    rule = RatioOfTimes(treated="printed", control=of.rule.control, no_effect_within=1.25)
    reported = replace(of.reported, value=2.0)
    claim = replace(of, measure=CLAIMS["dropout_slower"].measure, rule=rule, reported=reported, other_readings=())
    labels = [arm.label for arm in claim.arms]
    one = of_arms(claim, labels)
    assert len(labels) > len(PALETTE)
    for picture in (time_to_target([one]), figure_1(claim.measure, [one])):
        assert list(by_arm(picture.axes[0].lines, labels)) == labels
