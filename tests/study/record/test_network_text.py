"""The text table of a network."""

import pytest

from alexnet import AlexNet
from alexnet.recipe import RECIPES, Model
from study.plan.claim_files import all_claims
from study.questions.scales import scale_named
from study.record.network_text import network_text


@pytest.mark.parametrize("name", all_claims())
def test_arms_whose_networks_differ_have_different_texts(name):
    claim = all_claims()[name]
    for scale in claim.fixed_scales:
        for base in (base for base, recipe in claim.bases.items() if scale_named(scale).suits(recipe)):
            networks: dict[str, Model] = {}
            for arm in claim.arms:
                network = claim.recipe_at(scale, base, arm.label).model
                assert networks.setdefault(network_text(network), network) == network, (scale, base, arm.label)


@pytest.mark.parametrize("name", ["ALEXNET_32", "FIGURE_1_A", "CIFAR_11PCT"])
def test_its_total_is_the_number_of_parameters_that_the_network_has(name):
    model = RECIPES[name].model
    (total,) = [line.split()[1] for line in network_text(model).splitlines() if line.strip().startswith("total")]
    assert int(total.replace(",", "")) == sum(p.numel() for p in AlexNet(model).parameters())
