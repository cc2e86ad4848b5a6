"""The key of a run, which is its name: a hash of everything that decides its result."""

import dataclasses
import hashlib
import json
from typing import Any

NUMERICS = 2
"""Increased when a change of the code changes losses on purpose. Every key then changes, so that no old result passes for a new
one."""


def key_text(part: Any) -> str:
    """Return the JSON text of a recipe, or of a part of one, that keys hash. Names are sorted."""
    return _as_json(_hashed(part))


def _hashed(node: Any) -> Any:
    """Return the fields that differ from their first defaults, as plain values. So a new field changes no old key, and an
    edited default changes the keys of all recipes that use it."""
    if isinstance(node, tuple):
        return [_hashed(item) for item in node]
    if not dataclasses.is_dataclass(node):
        return node
    first = {field.name: _hashed(field.default) for field in dataclasses.fields(node)}
    for kind in type(node).__mro__:
        first |= FIRST.get(kind.__name__, {})
    hashed = {name: _hashed(getattr(node, name)) for name in first}
    return {name: value for name, value in hashed.items() if value != first[name]}


def run_key(recipe: Any, seed: int, fingerprint: str, numerics: int | None = None) -> str:
    """Return the key of a run: 16 hexadecimal digits of a hash of the recipe, the seed, the data's fingerprint and NUMERICS.

    `numerics` replaces NUMERICS for a run that was made with an earlier number. `recipe` is a Recipe, whose module imports this
    one."""
    data = _as_json(fingerprint)
    number = NUMERICS if numerics is None else numerics
    text = f'{{"data":{data},"numerics":{number},"recipe":{recipe.key_text},"seed":{seed}}}'  # JSON, with sorted names
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


FIRST = {
    "Layer": {
        "kind": "convolution",
        "kernel": 1,
        "stride": 1,
        "padding": 0,
        "pool": "none",
        "norm": "none",
        "order": "activation-norm-pool",
        "dropout": 0.0,
        "crosses": False,
        "present": True,
        "weight_std": 0.01,
        "initial_bias": 0.0,
        "decay_factor": 1.0,
    },
    "ResponseNorm": {
        "size": 5,
        "k": 2.0,
        "alpha": 0.0001,
        "beta": 0.75,
        "alpha_times": "sum",
    },
    "Model": {
        "layers": [],
        "activation": "relu",
        "init": "listed",
        "image_size": 32,
        "classes": 10,
        "pool_window": 3,
        "pool_stride": 2,
        "border_after": 0,
        "columns": 1,
        "norm_across": "column",
        "cross_map_norm": {},
        "within_map_norm": {"k": 1.0, "alpha": 0.001, "alpha_times": "mean"},
        "dropout_form": "inverted",
        "width": 1.0,
    },
    "Data": {
        "name": "cifar10",
        "train_images": 0,
        "validation_images": 0,
        "inputs": "minus_mean_image",
        "shift": 0,
        "crops": "random",
        "crop_offsets": 0,
        "flip": False,
        "images_per_draw": 1,
        "order": "reshuffled",
        "colour_noise": 0.0,
        "colour_noise_times": "standard_deviation",
        "colour_noise_divisor": 1.0,
        "colour_noise_epochs": 0,
    },
    "RateChange": {
        "layers": [],
    },
    "Optim": {
        "learning_rate": 0.001,
        "bias_rate_factor": 2.0,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "decay_biases": False,
        "update": "torch",
        "batch_size": 128,
        "epochs": 60,
        "schedule": [],
        "drops": 0,
        "drop_factor": 0.1,
        "drop_patience": 3,
        "stop_at_train_error": 0.0,
        "test_every": 1,
    },
    "Recipe": {
        "model": {},
        "data": {},
        "optim": {},
    },
}
"""The default that each field had when it was added, by class name. Never edit them."""
