"""The text table of a network."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from alexnet import AlexNet
from alexnet.recipe import RECIPES, Model, changed, sizes_of
from alexnet.recipe.sizes import layer_table
from study.cli.main import main
from study.network_text import layer_lines, network_text
from study.plan.claim_files import all_claims
from study.questions.scales import scale_named


@pytest.mark.parametrize("name", all_claims())
def test_arms_whose_networks_differ_have_different_texts(name):
    claim = all_claims()[name]
    for scale in claim.fixed_scales:
        for base in (base for base, recipe in claim.bases.items() if scale_named(scale).suits(recipe)):
            networks: dict[str, Model] = {}
            for arm in claim.arms:
                network = claim.recipe_at(scale, base, arm.label).model
                assert networks.setdefault(network_text(network), network) == network, (scale, base, arm.label)


def totals(model: Model) -> list[int]:
    """The totals of the table: parameters, neurons, multiply-adds."""
    (total,) = [line.split()[1:] for line in network_text(model).splitlines() if line.startswith("total")]
    return [int(number.replace(",", "")) for number in total]


@pytest.mark.parametrize("name", ["ALEXNET_32", "FIGURE_1_A", "CIFAR_11PCT"])
def test_its_totals_are_what_torch_counts_in_the_network(name):
    model = RECIPES[name].model
    network, neurons = AlexNet(model).eval(), []
    for parts in network.layers:
        parts.get_submodule("weights").register_forward_hook(lambda part, inputs, output: neurons.append(output[0].numel()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, model.image_size, model.image_size))
    operations = counter.get_total_flops() // 2  # a multiply-add counts as two
    assert totals(model) == [sum(p.numel() for p in network.parameters()), sum(neurons), operations]


def test_a_layer_that_is_left_out_has_no_numbers_but_its_pool():
    base = RECIPES["ALEXNET_32"].model
    model = changed(base, {"layers.4.present": False})
    sizes, others = [line.split() for line in network_text(model).splitlines() if line.startswith("layers.4 ")]
    map_size, after_pool = sizes_of(model)[4].map_size, sizes_of(model)[4].after_pool
    assert sizes[2:] == ["-"] * 5 + [str(map_size), str(after_pool)] + ["-"] * 3
    assert others[2:] == ["False", *["-"] * 3, "max", "3/2", *["-"] * 5]
    assert totals(model)[1] == totals(base)[1] - layer_table(base)[4]["neurons"]


def test_what_describe_prints_of_the_layers_is_in_the_text_of_mlflow(capsys):
    assert main(["describe", "PAPER"]) == 0
    assert layer_lines(RECIPES["PAPER"].model) in capsys.readouterr().out
    assert network_text(RECIPES["PAPER"].model).startswith(layer_lines(RECIPES["PAPER"].model))
