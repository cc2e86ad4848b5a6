"""The network used in the ways of torchvision and timm: other classes, features, a new last layer, images of the wrong size."""

import pytest
import torch
from torch import nn

from alexnet.errors import Refused
from alexnet.model.network import AlexNet
from alexnet.recipe import RECIPES, changed

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = RECIPES["ALEXNET_32"]
IMAGES = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0)) * 50


@pytest.fixture(scope="module")
def network() -> AlexNet:
    return AlexNet(RECIPE, seed=1).eval()


def test_another_number_of_classes_is_one_argument():
    network = AlexNet(RECIPE, classes=7)
    assert network.num_classes == 7 and network(IMAGES).shape == (2, 7)
    first, whole = network.layers[0].weights.weight, AlexNet(RECIPE).layers[0].weights.weight
    assert torch.equal(first, whole), "the other layers are drawn as before"


def test_features_then_the_head_are_the_network(network):
    maps = network.forward_features(IMAGES)
    assert maps.shape == (2, 64, 2, 2) and torch.equal(network.features(IMAGES), maps)
    assert torch.equal(network.forward_head(maps), network(IMAGES))
    assert torch.equal(network.classifier(maps), network(IMAGES))
    units = network.forward_head(maps, pre_logits=True)
    assert units.shape == (2, network.num_features)
    assert torch.equal(network.get_classifier()(units), network(IMAGES))


def test_the_names_of_weights_are_those_of_old_files(network):
    names = [f"layers.{layer}.weights.{what}" for layer in range(8) for what in ("weight", "bias")]
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_new_last_layer_is_that_of_a_new_network_and_the_others_stay(kind):
    network = AlexNet(RECIPE, seed=1).to(kind)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.reset_classifier(5, seed=3)
    fresh = AlexNet(RECIPE, seed=3, classes=5).to(kind)
    assert network.num_classes == 5 and network(IMAGES.to(kind)).shape == (2, 5)
    assert torch.equal(network.get_classifier().weight, fresh.get_classifier().weight)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items() if "layers.7" not in name)


@pytest.mark.parametrize("classes", [0, -1])
def test_fewer_than_one_class_is_refused_by_its_field(network, classes):
    with pytest.raises(Refused, match=r"classes"):
        network.reset_classifier(classes)
    assert network.num_classes == 10


@pytest.mark.parametrize("part", ["features", "classifier"])
def test_a_part_that_would_not_be_in_the_network_is_refused(network, part):
    with pytest.raises(Refused, match="reset_classifier"):
        getattr(network, part)[-1] = nn.Linear(4, 4)
    with pytest.raises(Refused, match="reset_classifier"):
        setattr(network, part, nn.Sequential(nn.Linear(4, 4)))


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 28, 28), (1, 1, 28, 28)])
def test_images_of_another_shape_are_refused_with_both(network, shape):
    with pytest.raises(Refused, match=r"\[n, 3, 28, 28\] expected") as refused:
        network(torch.zeros(shape))
    assert str(list(shape)) in str(refused.value)


def test_classes_that_were_changed_in_one_field_alone_are_refused_with_the_other():
    with pytest.raises(Refused, match=r"model\.classes and model\.layers\.last\.outputs together"):
        changed(RECIPE, {"model.classes": 5})
