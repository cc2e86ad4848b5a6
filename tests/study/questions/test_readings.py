"""study/questions/readings.py: arms that take a part out and keep the scale of the signal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alexnet.model.network import AlexNet
from alexnet.recipe import changed
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import RULES
from study.plan.initial_logits import LOGITS, SAME_SCALE
from study.questions.claim import Arm
from study.questions.readings import SUFFIX, signal_kept

RESULTS = Path(__file__).parents[3] / "results"
SCALE = "cifar10-jpeg"
CLAIMS = {name: claim for name, claim in all_claims().items() if "ALEXNET_32" in claim.bases and "cifar10-jpeg" in claim.scales}
KEPT = [(name, arm.label) for name, claim in CLAIMS.items() for arm in claim.arms if arm.label.endswith(SUFFIX)]
# Arms that change the scale of the signal and have no second reading, and why.
WITHOUT = {
    ("relu_sooner", "tanh"): "its learning rate is searched for, and its treatments set the scale otherwise",
}


def ratio(claim, base: str, label: str) -> float | None:
    runs = pd.read_csv(RESULTS / "runs.csv")
    (fingerprint,) = set(runs[runs.data == "cifar10-jpeg"].data_fingerprint)
    known = LOGITS.read(RESULTS)
    recipes = [claim.recipe_at(SCALE, base, one) for one in (label, claim.arms[0].label)]
    return known.ratio(*recipes, fingerprint)


@pytest.mark.parametrize("name, label", KEPT)
def test_logits_of_an_arm_with_its_signal_kept_spread_as_the_controls(name, label):
    claim = CLAIMS[name]
    found, plain = ratio(claim, "ALEXNET_32", label), ratio(claim, "ALEXNET_32", label.removesuffix(SUFFIX))
    assert SAME_SCALE[0] <= found <= SAME_SCALE[1]
    assert not SAME_SCALE[0] <= plain <= SAME_SCALE[1]


def test_every_judged_arm_that_changes_the_scale_has_a_second_reading_or_a_reason():
    changed_alone = set()
    for name, bases in RULES.read(RESULTS).of("cifar10-jpeg").family.items():
        claim = all_claims()[name]
        labels = {claim.rule.control, *claim.rule.treated_arms} - {claim.arms[0].label}
        for base in bases:
            for label in labels:
                found = ratio(claim, base, label)
                if found and not SAME_SCALE[0] <= found <= SAME_SCALE[1] and not claim.other_readings:
                    changed_alone.add((name, label))
    assert changed_alone == {key for key in WITHOUT if key[0] in RULES.read(RESULTS).of("cifar10-jpeg").family}


def test_the_second_reading_differs_from_the_first_in_initial_weights_alone():
    base = CLAIMS["response_norm"].bases["ALEXNET_32"]
    arm = Arm("none", {"model.layers.0.norm": "none"}, {"ALEXNET_32": {"model.layers.1.norm": "none"}})
    kept = signal_kept(arm, {1: 0.5})
    plain = changed(base, {**arm.diff, **arm.also["ALEXNET_32"]})
    narrow = changed(base, {**kept.diff, **kept.also["ALEXNET_32"]})
    for (name, one), (_, other) in zip(*(AlexNet(recipe, 7).named_parameters() for recipe in (plain, narrow)), strict=True):
        factor = 0.5 if name == second_weight(plain) else 1.0
        np.testing.assert_allclose(other.detach(), factor * one.detach(), rtol=1e-6)
    assert changed(narrow, {"model.layers.1.weight_std": plain.model.layers[1].weight_std}) == plain


def second_weight(recipe) -> str:
    return [name for name, value in AlexNet(recipe, 7).named_parameters() if value.dim() == 4][1]
