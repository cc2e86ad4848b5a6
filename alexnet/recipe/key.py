"""The name of a run: a hash over all that decides its result."""

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet.recipe.schema import Recipe

NUMERICS = 2
"""Raised when a code change moves losses on purpose: every key changes with it, and no old result is mistaken for a new one."""


def _told(node: Any) -> Any:
    """What the key hashes: only fields that differ from their first defaults, so that new fields move no old key and an edited
    default moves those of all that take it."""
    if isinstance(node, tuple):
        return [_told(item) for item in node]
    if not dataclasses.is_dataclass(node):
        return node
    first = {f.name: _told(_declared_default(f)) for f in dataclasses.fields(node)}
    for kind in type(node).__mro__:
        first |= FIRST.get(kind.__name__, {})
    told = {name: _told(getattr(node, name)) for name in first}
    return {name: value for name, value in told.items() if value != first[name]}


def _declared_default(f: dataclasses.Field) -> Any:
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()


def run_key(recipe: "Recipe", seed: int, fingerprint: str) -> str:
    """Name of a run: 16 hexadecimal digits of a hash over the science, the seed, the data's fingerprint and NUMERICS."""
    data = _as_key_text(fingerprint)
    text = f'{{"data":{data},"numerics":{NUMERICS},"recipe":{recipe._key_text},"seed":{seed}}}'  # JSON, with sorted names
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_key_text(told: Any) -> str:
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)


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
    },
    "Recipe": {
        "model": {},
        "data": {},
        "optim": {},
    },
}
