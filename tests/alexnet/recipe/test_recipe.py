"""alexnet/recipe/schema.py: keys against hashes written by hand, refusals, round trips, and the networks' sizes of 2012."""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import alexnet.recipe
from alexnet.errors import Refused
from alexnet.recipe import (
    ACTIVATIONS,
    FIGURE_1_A,
    FIGURE_1_B,
    FIGURE_1_C,
    INITIALIZATIONS,
    POOLS,
    Data,
    Layer,
    Model,
    Optim,
    RateChange,
    Recipe,
    ResponseNorm,
    as_dict,
    changed,
    differences,
    from_dict,
    key,
    run_key,
    schema,
)
from alexnet.recipe import settings as fields_of
from alexnet.recipe.key import FIRST
from alexnet.recipe.options import option

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=150, deadline=None, derandomize=True, database=None)

NO_DATA = "000000000000"
FIGURE_1 = {"A": FIGURE_1_A, "B": FIGURE_1_B, "C": FIGURE_1_C}
rates = st.floats(0, 10, allow_subnormal=False)
VALUES = {
    "model.activation": st.sampled_from(ACTIVATIONS),
    "model.init": st.sampled_from(INITIALIZATIONS),
    "model.layers.0.outputs": st.integers(1, 64),
    "model.layers.0.pool": st.sampled_from(POOLS),
    "model.layers.2.padding": st.integers(0, 3),
    "model.layers.3.weight_std": rates,
    "data.inputs": st.sampled_from(("minus_mean_image", "standardized")),
    "data.shift": st.integers(0, 8),
    "data.flip": st.booleans(),
    "optim.learning_rate": rates,
    "optim.weight_decay": rates,
    "optim.momentum": rates,
    "optim.epochs": st.integers(1, 500),
}
diffs = st.fixed_dictionaries({}, optional=VALUES)
recipes = diffs.map(lambda diff: changed(FIGURE_1_A, diff))


def hashed(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


# ---- Keys ------------------------------------------------------------------------------------------------------------


def test_the_key_of_figure_1_a_is_the_pinned_one():
    """Results on disk carry such keys. Change this value only together with NUMERICS, when a code change moves losses on
    purpose, or when FIGURE_1_A itself is made another network; a field added at its old behaviour must not move it.

    Regenerate: python -c "from alexnet.recipe import *; print(run_key(FIGURE_1_A, 0, '000000000000'))"
    """
    assert run_key(FIGURE_1_A, 0, NO_DATA) == "f7681f7f69b8952c"


def test_the_key_is_a_hash_of_what_differs_from_the_defaults_and_of_nothing_else():
    recipe = Recipe(
        model=Model(layers=(Layer(outputs=4, kernel=3), Layer(kind="full", outputs=10)), activation="tanh"),
        data=Data(shift=4, flip=False),
        optim=Optim(learning_rate=0.5, epochs=60),
    )
    content = {
        "data": NO_DATA,
        "numerics": 2,
        "recipe": {
            "data": {"shift": 4},
            "model": {"activation": "tanh", "layers": [{"kernel": 3, "outputs": 4}, {"kind": "full", "outputs": 10}]},
            "optim": {"learning_rate": 0.5},
        },
        "seed": 7,
    }
    assert run_key(recipe, 7, NO_DATA) == hashed(content)


def test_a_recipe_of_defaults_tells_its_key_nothing():
    assert run_key(Recipe(), 0, "ab") == hashed({"data": "ab", "numerics": 2, "recipe": {}, "seed": 0})


@dataclass(frozen=True, kw_only=True)
class LaterOptim(Optim):
    """Optim as a later version may have it."""

    nesterov: bool = option(False, "a look ahead")


@dataclass(frozen=True, kw_only=True)
class LaterLayer(Layer):
    dilation: int = option(1, "pixels")


def test_a_field_added_at_its_default_moves_no_key():
    old = FIGURE_1_A
    later = replace(
        old,
        optim=LaterOptim(**dataclasses.asdict(old.optim)),
        model=replace(old.model, layers=tuple(LaterLayer(**dataclasses.asdict(layer)) for layer in old.model.layers)),
    )
    assert run_key(later, 3, NO_DATA) == run_key(old, 3, NO_DATA)


def test_a_field_added_at_another_value_moves_the_key():
    later = replace(FIGURE_1_A, optim=LaterOptim(**dataclasses.asdict(FIGURE_1_A.optim), nesterov=True))
    assert run_key(later, 3, NO_DATA) != run_key(FIGURE_1_A, 3, NO_DATA)


@dataclass(frozen=True, kw_only=True)
class EditedOptim(Optim):
    """Optim after someone edited a default."""

    momentum: float = option(0.5, "edited")


def test_an_edited_default_moves_the_keys_of_what_takes_it_and_the_old_value_keeps_the_old_key():
    without_momentum = {k: v for k, v in dataclasses.asdict(FIGURE_1_A.optim).items() if k != "momentum"}
    edited = replace(FIGURE_1_A, optim=EditedOptim(**without_momentum))
    assert run_key(edited, 3, NO_DATA) != run_key(FIGURE_1_A, 3, NO_DATA)
    written_out = replace(FIGURE_1_A, optim=EditedOptim(**without_momentum, momentum=0.9))
    assert run_key(written_out, 3, NO_DATA) == run_key(FIGURE_1_A, 3, NO_DATA)


@pytest.mark.parametrize("kind", [Layer, ResponseNorm, Model, Data, RateChange, Optim, Recipe])
def test_every_field_has_its_first_default_written_down(kind):
    optional = {
        f.name for f in dataclasses.fields(kind) if (f.default, f.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
    }
    assert FIRST[kind.__name__].keys() == optional


@few_examples
@given(recipes, recipes)
def test_two_recipes_have_one_key_only_if_they_are_equal(one, other):
    assert (run_key(one, 0, NO_DATA) == run_key(other, 0, NO_DATA)) == (one == other)


@few_examples
@given(diffs)
def test_the_order_of_a_diff_moves_no_key(diff):
    backwards = dict(reversed(diff.items()))
    assert run_key(changed(FIGURE_1_A, diff), 0, NO_DATA) == run_key(changed(FIGURE_1_A, backwards), 0, NO_DATA)


def test_every_single_field_is_in_the_key():
    other = {"bool": lambda v: not v, "int": lambda v: v + 1, "float": lambda v: v + 0.125}
    words = {
        "kind": "local",
        "pool": "none",
        "norm": "batch",
        "order": "norm-activation-pool",
        "activation": "tanh",
        "init": "torch",
        "inputs": "standardized",
        "name": "shapes",
        "norm_across": "layer",
        "dropout_form": "2012",
        "crops": "centre",
        "data.order": "fixed",
        "colour_noise_times": "eigenvalue",
        "update": "paper",
    }
    only_with_others = {
        "model.classes": {"model.classes": 11, "model.layers.last.outputs": 11},
        "model.columns": {"model.columns": 2, "model.layers.last.crosses": True},
        "model.pool_stride": {"model.pool_stride": 1},
        "optim.drops": {"optim.drops": 1, "data.validation_images": 100},
    }
    never = {f"model.layers.3.{name}" for name in ("kind", "outputs", "pool", "norm", "dropout", "present")}
    keys, paths = {run_key(FIGURE_1_A, 0, NO_DATA)}, [p for p in fields_of(FIGURE_1_A) if p not in never]
    for path in paths:
        value, name = fields_of(FIGURE_1_A)[path], path.split(".")[-1]
        if name == "alpha_times":
            new = {"sum": "mean", "mean": "sum"}[value]
        elif name == "size":
            new = value + 2  # of a normalization: odd
        elif isinstance(value, str):
            new = words.get(path) or words[name]
        else:
            new = other[type(value).__name__](value)
        keys.add(run_key(changed(FIGURE_1_A, only_with_others.get(path, {path: new})), 0, NO_DATA))
    keys.add(run_key(changed(FIGURE_1_A, {"optim.schedule": (RateChange(epoch=1, weights=0.1, biases=0.1),)}), 0, NO_DATA))
    assert len(keys) == len(paths) + 2


def test_seed_data_and_numerics_each_move_the_key(monkeypatch):
    keys = {run_key(FIGURE_1_A, 0, NO_DATA), run_key(FIGURE_1_A, 1, NO_DATA), run_key(FIGURE_1_A, 0, "000000000001")}
    monkeypatch.setattr(key, "NUMERICS", key.NUMERICS + 1)
    keys.add(run_key(FIGURE_1_A, 0, NO_DATA))
    assert len(keys) == 4


def test_the_same_layers_in_another_order_are_another_run():
    first, second, *rest = FIGURE_1_A.model.layers
    swapped = changed(FIGURE_1_A, {"model.layers": (second, first, *rest)})
    assert run_key(swapped, 0, NO_DATA) != run_key(FIGURE_1_A, 0, NO_DATA)


# ---- changed ---------------------------------------------------------------------------------------------------------


def test_a_diff_changes_its_field_and_no_other():
    new = changed(FIGURE_1_A, {"model.layers.1.outputs": 48})
    before, after = fields_of(FIGURE_1_A), fields_of(new)
    assert {k for k in after if after[k] != before[k]} == {"model.layers.1.outputs"} and after["model.layers.1.outputs"] == 48


def test_the_changed_recipe_is_a_copy():
    before = as_dict(FIGURE_1_A)
    changed(FIGURE_1_A, {"optim.epochs": 7, "model.layers.0.outputs": 3})
    assert as_dict(FIGURE_1_A) == before


def test_no_field_of_a_recipe_can_be_set():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FIGURE_1_A.optim.epochs = 1


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("modle.activation", "model.activation"),
        ("model.activaton", "model.activation"),
        ("learning_rate", "optim.learning_rate"),
        ("optim.learningrate", "optim.learning_rate"),
        ("optim.epoch", "optim.epochs"),
        ("data.shifts", "data.shift"),
        ("model.layers.0.output", "model.layers.0.outputs"),
    ],
)
def test_an_unknown_field_is_refused_naming_the_nearest(wrong, nearest):
    with pytest.raises(Refused, match=r"did you mean .*") as refusal:
        changed(FIGURE_1_A, {wrong: 1})
    assert repr(wrong) in str(refusal.value)
    assert nearest in str(refusal.value).split("did you mean")[1]


@pytest.mark.parametrize(("wrong", "known"), [("data.a", "data.flip"), ("model.layers.0.layer", "model.layers.0.kernel")])
def test_the_fields_offered_instead_are_fields_that_exist(wrong, known):
    with pytest.raises(Refused) as refusal:
        changed(FIGURE_1_A, {wrong: 1})
    assert known in str(refusal.value)


@pytest.mark.parametrize("path", ["model.layers.4.outputs", "model.layers.-1.outputs", "model.layers.one.outputs"])
def test_a_layer_that_is_not_there_is_refused(path):
    with pytest.raises(Refused, match="0, 1, 2, 3"):
        changed(FIGURE_1_A, {path: 1})


@pytest.mark.parametrize("path", ["", "model.", "optim.epochs.x", "model.activation.0"])
def test_a_path_that_leads_nowhere_is_refused(path):
    with pytest.raises(Refused):
        changed(FIGURE_1_A, {path: 1})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("optim.epochs", 3.0),
        ("optim.epochs", "3"),
        ("optim.epochs", True),
        ("optim.learning_rate", "0.1"),
        ("optim.learning_rate", True),
        ("optim.learning_rate", None),
        ("data.flip", 1),
        ("data.name", None),
        ("model.activation", 3),
        ("model.layers", []),
        ("model", {"activation": "tanh"}),
        ("optim", Data()),
    ],
)
def test_a_value_of_another_type_is_refused_naming_the_field(path, value):
    with pytest.raises(Refused, match=f"^{path}: "):
        changed(FIGURE_1_A, {path: value})


def test_a_layer_replaced_by_something_else_is_refused():
    with pytest.raises(Refused):
        changed(FIGURE_1_A, {"model.layers.0": 5})


def test_a_whole_number_given_for_a_rate_is_the_same_run_as_the_rate():
    whole, rate = (changed(FIGURE_1_A, {"optim.learning_rate": value}) for value in (1, 1.0))
    assert run_key(whole, 0, NO_DATA) == run_key(rate, 0, NO_DATA)


@pytest.mark.parametrize("value", [float("nan"), -1e-9, float("-inf")])
@pytest.mark.parametrize("name", ["learning_rate", "bias_rate_factor", "momentum", "weight_decay", "stop_at_train_error"])
def test_a_negative_rate_and_nan_are_refused_naming_the_field(name, value):
    with pytest.raises(Refused, match=f"optim.{name}"):
        changed(FIGURE_1_A, {f"optim.{name}": value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.layers.0.weight_std", float("nan")),
        ("model.layers.0.weight_std", -1.0),
        ("optim.learning_rate", float("inf")),
    ],
)
def test_a_spread_that_cannot_be_drawn_and_an_infinite_rate_are_refused(path, value):
    with pytest.raises(Refused):
        changed(FIGURE_1_A, {path: value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("optim.epochs", 0),
        ("optim.batch_size", 0),
        ("data.shift", -1),
        ("data.train_images", -1),
        ("model.image_size", 0),
        ("model.pool_window", 0),
        ("model.pool_stride", 0),
        ("model.layers.0.outputs", 0),
        ("model.layers.0.kernel", 0),
        ("model.layers.0.padding", -1),
        ("model.layers.0.kind", "dense"),
        ("model.layers.0.pool", "mean"),
        ("model.activation", "swish"),
        ("model.init", "xavier"),
        ("data.inputs", "raw"),
    ],
)
def test_a_value_outside_its_range_is_refused_naming_field_and_value(path, value):
    with pytest.raises(Refused, match=rf"{path.split('.')[-1]}: {value!r} "):
        changed(FIGURE_1_A, {path: value})


@pytest.mark.parametrize("last", [Layer(outputs=10), Layer(kind="full", outputs=9)])
def test_a_network_that_does_not_end_in_its_classes_is_refused(last):
    with pytest.raises(Refused, match="last layer must be full"):
        changed(FIGURE_1_A, {"model.layers": (last,)})


def in_turn(*epochs: int) -> tuple[RateChange, ...]:
    return tuple(RateChange(epoch=epoch, weights=0.1, biases=0.1) for epoch in epochs)


def test_a_schedule_out_of_order_is_refused_naming_its_epochs():
    with pytest.raises(Refused, match=r"^optim\.schedule: its epochs are 8, 30, 11; put them in ascending order"):
        Optim(schedule=in_turn(8, 30, 11))


def test_two_changes_of_a_schedule_may_have_one_epoch():
    assert Optim(schedule=in_turn(8, 8)).schedule == in_turn(8, 8)


@pytest.mark.parametrize("epochs", [(60, 82), (1, 2)])
def test_the_order_of_a_schedule_is_asked_of_a_diff_as_a_whole(epochs):
    recipe = changed(FIGURE_1_A, {"optim.schedule": in_turn(8, 11)})
    diff = {f"optim.schedule.{place}.epoch": epoch for place, epoch in enumerate(epochs)}
    assert changed(recipe, diff).optim.schedule == in_turn(*epochs)
    assert changed(recipe, dict(reversed(diff.items()))).optim.schedule == in_turn(*epochs)


# ---- as_dict, from_dict, differences ---------------------------------------------------------------------------------


@few_examples
@given(recipes)
def test_a_recipe_comes_back_from_json_as_it_was(recipe):
    back = from_dict(json.loads(json.dumps(as_dict(recipe))))
    assert back == recipe and run_key(back, 0, NO_DATA) == run_key(recipe, 0, NO_DATA)


@pytest.mark.parametrize("name", FIGURE_1)
def test_each_network_of_figure_1_comes_back_from_its_dictionary(name):
    assert from_dict(as_dict(FIGURE_1[name])) == FIGURE_1[name]


@pytest.mark.parametrize("part", ["model", "data", "optim"])
def test_a_dictionary_with_a_field_of_another_version_is_refused_naming_it(part):
    plain = as_dict(FIGURE_1_A)
    plain[part]["dropout"] = 0.5
    with pytest.raises(Refused, match="dropout"):
        from_dict(plain)


@pytest.mark.parametrize("part", ["model", "data", "optim"])
def test_a_dictionary_without_one_of_its_parts_is_refused_naming_it(part):
    plain = as_dict(FIGURE_1_A)
    del plain[part]
    with pytest.raises(Refused, match=part):
        from_dict(plain)


@few_examples
@given(diffs)
def test_differences_give_back_the_diff(diff):
    base = fields_of(FIGURE_1_A)
    expected = {path: (base[path], value) for path, value in diff.items() if base[path] != value}
    assert differences(changed(FIGURE_1_A, diff), FIGURE_1_A) == expected


def test_differences_the_other_way_round_are_the_same_pairs_turned_round():
    there, back = differences(FIGURE_1_B, FIGURE_1_A), differences(FIGURE_1_A, FIGURE_1_B)
    assert back == {path: (new, old) for path, (old, new) in there.items()} and back["model.layers.4.outputs"] == (10, None)


def test_a_layer_that_one_recipe_lacks_is_told_as_none():
    found = differences(FIGURE_1_B, FIGURE_1_A)
    assert found["model.layers.4.outputs"] == (None, 10) and found["model.layers.3.outputs"] == (10, 64)
    assert not any(path.startswith(("model.layers.0", "model.layers.1", "model.layers.2", "data", "optim")) for path in found)


# ---- The recipes -----------------------------------------------------------------------------------------------------


def test_the_networks_of_figure_1_share_everything_but_their_layers():
    for other in (FIGURE_1_B, FIGURE_1_C):
        assert all(path.startswith("model.layers.") for path in differences(other, FIGURE_1_A))


@pytest.mark.parametrize("name", FIGURE_1)
def test_figure_1_has_no_regularization_and_stops_at_25_percent(name):
    recipe = FIGURE_1[name]
    assert (recipe.optim.weight_decay, recipe.data.shift, recipe.data.flip) == (0.0, 0, False)
    assert recipe.optim.stop_at_train_error == 0.25


def test_the_rates_of_2012_are_the_defaults():
    """cuda-convnet's layer-params: epsW .001, epsB .002, momW .9, minibatch 128."""
    optim = FIGURE_1_A.optim
    assert (optim.learning_rate, optim.learning_rate * optim.bias_rate_factor) == (0.001, 0.002)
    assert (optim.momentum, optim.batch_size) == (0.9, 128)


@pytest.mark.parametrize("name", ["Layer", "Model", "ResponseNorm"])
def test_a_network_that_was_pickled_whole_finds_its_classes_where_they_were(name):
    assert getattr(schema, name) is getattr(alexnet.recipe, name)


def test_a_whole_number_written_for_a_rate_gives_the_key_of_the_same_float():
    by_int = Recipe(optim=Optim(learning_rate=1, weight_decay=0))
    assert run_key(by_int, 0, NO_DATA) == run_key(Recipe(optim=Optim(learning_rate=1.0)), 0, NO_DATA)


def test_a_recipe_read_back_refuses_parts_it_does_not_know():
    with pytest.raises(Refused, match=r"recipe\.modle.*did you mean recipe\.model"):
        from_dict({**as_dict(FIGURE_1_A), "modle": {}})


PARTS = {"layer": {"outputs": 1}, "rate_change": {"epoch": 0, "weights": 1.0, "biases": 1.0}}  # what has no default
FIELDS = [
    pytest.param(kind, field, id=f"{kind.NAME}.{field.name}")
    for kind in (Layer, ResponseNorm, Model, Data, RateChange, Optim)
    for field in dataclasses.fields(kind)
]


@pytest.mark.parametrize("kind, field", FIELDS)
def test_every_field_refuses_what_it_does_not_take_by_name_value_and_choices(kind, field):
    wrong = {str: "nonsense", int: -1, float: float("nan")}.get(field.type)
    if field.name == "name" or wrong is None:  # the names of image sets are not known here; flags and tuples take all of theirs
        return
    with pytest.raises(Refused, match=rf"^{kind.NAME}\.{field.name}: {wrong!r} is not") as refusal:
        kind(**{**PARTS.get(kind.NAME, {}), field.name: wrong})
    assert all(str(choice) in str(refusal.value) for choice in field.metadata["option"].choices)


OF_ANOTHER_TYPE = {str: (3, None), int: (2.0, "2", True, None), float: ("0.5", True, None), bool: (1, "True", None)}


@pytest.mark.parametrize("kind, field", [*FIELDS, *((Recipe, field) for field in dataclasses.fields(Recipe))])
def test_every_field_refuses_a_value_of_another_type_by_name_value_and_type(kind, field):
    for wrong in OF_ANOTHER_TYPE.get(field.type, ("01", {}, [], None)):
        with pytest.raises(Refused) as refusal:
            kind(**{**PARTS.get(kind.NAME, {}), field.name: wrong})
        text = f"{kind.NAME}.{field.name}: {wrong!r} is {type(wrong).__name__}, the field takes "
        assert str(refusal.value).startswith(text) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "words"),
    [
        (Model, "layers", (Layer(kind="full", outputs=10), "full"), "model.layers.1: 'full' is str, the field takes Layer"),
        (RateChange, "layers", (0, 1.0), "rate_change.layers.1: 1.0 is float, the field takes int"),
        (RateChange, "layers", (True,), "rate_change.layers.0: True is bool, the field takes int"),
    ],
)
def test_a_part_of_a_tuple_that_is_of_another_type_is_refused_by_its_position(kind, name, wrong, words):
    with pytest.raises(Refused) as refusal:
        kind(**{**PARTS.get(kind.NAME, {}), name: wrong})
    assert str(refusal.value) == words


def test_equal_recipes_with_a_zero_of_either_sign_have_one_key():
    plus, minus = (Recipe(optim=Optim(learning_rate=zero)) for zero in (0.0, -0.0))
    assert plus == minus and run_key(plus, 0, NO_DATA) == run_key(minus, 0, NO_DATA)


def test_every_field_of_a_recipe_says_what_it_is():
    docs, fields = (
        schema.field_docs(),
        fields_of(changed(FIGURE_1_A, {"optim.schedule": (RateChange(epoch=1, weights=1, biases=1),)})),
    )
    assert all(docs.values())
    for name in fields:
        assert re.sub(r"\.\d+\.", ".*.", name) in docs
