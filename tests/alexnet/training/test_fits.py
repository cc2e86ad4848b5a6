"""Every number of a recipe has bounds: within them a recipe is refused in one line, or its network takes a step."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from helpers import SMALL
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from alexnet.data.sources import ImageSet
from alexnet.errors import Refused
from alexnet.machine import detect
from alexnet.recipe import Layer, RateChange, changed, settings
from alexnet.recipe.sizes import least_bytes
from alexnet.training.fits import check_fits
from alexnet.training.loop import Training

MEMORY = 60_000_000
SIDE = 8
MACHINE = replace(detect("cpu", "fp32", 1), threads=1)
IMAGES = ImageSet(
    name="noise",
    fingerprint="0",
    train_images=torch.randint(0, 256, (16, SIDE, SIDE, 3), dtype=torch.uint8),
    train_labels=torch.arange(16) % 10,
    test_images=torch.randint(0, 256, (4, SIDE, SIDE, 3), dtype=torch.uint8),
    test_labels=torch.arange(4),
)
EVERY_PART = changed(
    SMALL,
    {
        "model.layers": (
            Layer(outputs=16, kernel=3, padding=1, pool="max", norm="cross_map+within_map", dropout=0.5),
            Layer(kind="local", outputs=16, kernel=3, padding=1, pool="average", norm="cross_map"),
            Layer(kind="full", outputs=10),
        ),
        "model.init": "listed",
        "model.image_size": 7,
        "data.train_images": 16,
        "data.colour_noise": 0.1,
        "data.flip": True,
        "data.shift": 1,
        "optim.batch_size": 8,
        "optim.schedule": (RateChange(epoch=0, weights=1.0, biases=1.0),),
        "optim.weight_decay": 0.001,
    },
)
NUMBERS = [name for name, value in settings(EVERY_PART).items() if type(value) in (int, float)]
WHOLE = {name for name in NUMBERS if type(settings(EVERY_PART)[name]) is int}
FAR = [0, 1, 2, 3, 15, 17, 2001, 6001, 10**4, 1_000_001, 10**9, 2**31, 2**63, 10**400, -1, -(10**9)]
FINE = [1e-320, 1e-45, 1e-9, 0.5, 1 - 2**-53, 1.5, 1e6, 3.5e38, 1e308, float("inf"), float("nan"), -1e308]


def takes_a_step_or_is_refused(diff):
    """Whether it was refused, in a line that names one of the changed fields."""
    try:
        recipe = changed(EVERY_PART, diff)
        check_fits(recipe, IMAGES, MEMORY)
    except Refused as refused:
        assert "\n" not in str(refused) and len(str(refused)) < 500
        return True
    training = Training(recipe, 0, MACHINE, IMAGES)
    with MACHINE.torch_settings():
        next(training.steps()).update()
    return False


@pytest.mark.parametrize("name", NUMBERS)
def test_an_extreme_number_is_refused_in_a_line_or_gives_a_network_that_takes_a_step(name):
    values = FAR if name in WHOLE else FAR + FINE
    refused = [takes_a_step_or_is_refused({name: value}) for value in values]
    assert any(refused), "no number is without a bound"


def test_a_full_layer_takes_as_much_memory_whatever_its_kernel_is_called():
    """It has none: the field is not read."""
    assert least_bytes(changed(EVERY_PART, {"model.layers.last.kernel": 5}), 8) == least_bytes(EVERY_PART, 8)


@pytest.mark.parametrize("update", ["torch", "paper"])
@pytest.mark.parametrize("part", ["optim", "data", "model.layers.0", "model.cross_map_norm", "optim.schedule.0"])
def test_all_rates_and_factors_at_their_most_make_numbers_that_torch_takes(part, update):
    at_most = {name: most_of(name) for name in NUMBERS if name.rpartition(".")[0] == part and name not in WHOLE}
    assert not takes_a_step_or_is_refused({name: most for name, most in at_most.items() if most} | {"optim.update": update})


def most_of(name):
    node = EVERY_PART
    for step in name.split(".")[:-1]:
        node = node[int(step)] if step.isdigit() else getattr(node, step)
    fields = {field.name: field for field in dataclasses.fields(node)}
    return fields[name.rpartition(".")[2]].metadata["option"].most


@examples(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(NUMBERS), st.integers(-2, 10**7) | st.floats()), min_size=2, max_size=4))
def test_several_odd_numbers_are_refused_in_a_line_or_give_a_network_that_takes_a_step(changes):
    takes_a_step_or_is_refused(dict(changes))


def test_every_number_of_every_part_of_a_recipe_is_tried():
    def numbers(part):
        for field in dataclasses.fields(part):
            inner = getattr(field.type, "__args__", (None,))[0]
            if dataclasses.is_dataclass(field.type):
                yield from numbers(field.type)
            elif dataclasses.is_dataclass(inner):
                yield from numbers(inner)
            elif field.type in (int, float):
                yield part.__name__, field

    fields = [(part, field) for part, field in numbers(type(EVERY_PART))]
    assert {field.name for _, field in fields} == {name.rsplit(".", 1)[1] for name in NUMBERS}
    unbounded = [f"{part}.{field.name}" for part, field in fields if not (o := field.metadata["option"]).choices
                 and ((o.most is None and o.below is None) or (o.least is None and o.above is None))]  # fmt: skip
    assert unbounded == []


@pytest.mark.parametrize(
    "diff, field",
    [
        ({"model.image_size": 9}, "model.image_size"),
        ({"data.train_images": 17}, "data.train_images"),
        ({"data.train_images": 7}, "optim.batch_size"),
        ({"optim.batch_size": 17}, "optim.batch_size"),
        ({"data.validation_images": 9}, "optim.batch_size"),
        ({"data.crop_offsets": 5}, "data.crop_offsets"),
        ({"model.classes": 9, "model.layers.last.outputs": 9}, "model.classes"),
        ({"model.width": 1000.0}, "model"),
        ({"model.layers.0.padding": 1000}, "model"),
        ({"data.shift": 1000}, "model"),
        ({"model.layers": ()}, "model.layers"),
    ],
)
def test_what_images_and_memory_do_not_allow_is_refused_before_a_network_is_made(diff, field):
    with pytest.raises(Refused) as refused:
        check_fits(changed(EVERY_PART, diff), IMAGES, MEMORY)
    assert refused.value.field == field


@pytest.mark.parametrize("norm, most", [("cross_map", 31), ("within_map", 7)])
def test_a_window_is_as_large_as_one_that_sees_everything_and_no_larger(norm, most):
    field = f"model.{norm}_norm.size"
    layers = {"model.layers.0.norm": norm, "model.layers.1.norm": "none", "model.layers.0.order": "activation-pool-norm"}
    layers["model.image_size"] = 7  # 4 pixels a side after the pool, of which a window of 7 sees all
    side = changed(EVERY_PART, layers)
    assert not takes_a_step_or_is_refused({**layers, field: most if norm == "cross_map" else 5})
    with pytest.raises(Refused, match=field):
        changed(side, {field: most + 2})


def test_the_least_memory_is_less_than_what_torch_counts():
    weights = sum(p.numel() for p in Training(EVERY_PART, 0, MACHINE, IMAGES).network.parameters())
    assert 0 < least_bytes(EVERY_PART, 0) <= 12 * weights
    assert least_bytes(EVERY_PART, 8) < least_bytes(EVERY_PART, 16)
