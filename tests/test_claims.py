"""Every claim file is held to the same: a new one is tested by being there."""

import dataclasses
import itertools

import pytest

from alexnet.recipe import changed, differences
from alexnet.refuse import Refused
from study.claim import Arm, AtEnd, TimeTo
from study.plan import all_claims, untuned_recipe
from study.scales import SCALES

CASES = [(name, claim, scale, base) for name, claim in all_claims().items() for scale in claim.scales for base in claim.bases]


@pytest.mark.parametrize("name, claim, scale, base", CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_the_control_is_the_base_at_its_scale_and_other_arms_differ_only_where_they_say(name, claim, scale, base):
    control = untuned_recipe(claim, SCALES[scale], base, claim.arms[0].label)
    assert control == changed(claim.bases[base], SCALES[scale].diff)
    for arm in claim.arms[1:]:
        recipe = untuned_recipe(claim, SCALES[scale], base, arm.label)
        assert set(differences(recipe, control)) == set(arm.diff)


@pytest.mark.parametrize("name, claim", all_claims().items())
def test_runs_stop_at_the_target_of_a_time_and_nowhere_before_the_end_of_a_fixed_budget(name, claim):
    target = claim.measure.level if isinstance(claim.measure, TimeTo) else 0
    for base in claim.bases.values():
        assert base.optim.stop_at_train_error == target


@pytest.mark.parametrize("name, claim", all_claims().items())
def test_the_list_of_values_is_geometric_and_inside_the_recipe(name, claim):
    for field, values in claim.tune.items():
        steps = [b / a for a, b in itertools.pairwise(values)]
        assert max(steps) / min(steps) < 1.01
        for value in values:
            changed(next(iter(claim.bases.values())), {field: value})


def test_a_control_with_a_diff_is_refused():
    claim = all_claims()["relu_sooner"]
    with pytest.raises(Refused, match=r"claim\.arms: the control 'tanh' must be the empty diff"):
        dataclasses.replace(claim, arms=claim.arms[1:])


def test_a_label_that_cannot_be_asked_for_is_refused():
    claim = all_claims()["relu_sooner"]
    with pytest.raises(Refused, match=r"claim\.arms: the label 'leaky relu'"):
        dataclasses.replace(claim, arms=(*claim.arms, Arm("leaky relu", {"model.activation": "leaky_relu"})))


def test_a_rule_that_cannot_judge_its_measure_is_refused():
    with pytest.raises(Refused, match=r"claim\.rule: RatioOfTimes cannot judge AtEnd"):
        dataclasses.replace(all_claims()["relu_sooner"], measure=AtEnd())


def test_an_error_that_no_table_has_is_refused():
    with pytest.raises(Refused, match=r"claim\.measure\.of: 'top1'"):
        dataclasses.replace(all_claims()["response_norm"], measure=AtEnd(of="top1"))


def test_an_arm_that_changes_an_unknown_field_is_refused_with_the_nearest_one():
    claim = all_claims()["relu_sooner"]
    with pytest.raises(Refused, match=r"model\.activation"):
        dataclasses.replace(claim, arms=(*claim.arms, Arm("gelu", {"model.activatoin": "gelu"})))


def test_the_three_networks_have_the_parameters_of_their_2012_files():
    from alexnet.network import layer_table

    counts = {
        name: sum(row["parameters"] for row in layer_table(all_claims()["relu_sooner"].bases[f"{name}-2012"].model))
        for name in "ABC"
    }
    assert counts == {"A": 89_578, "B": 145_578, "C": 1_901_386}
