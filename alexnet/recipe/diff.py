"""Change recipes, compare them, and convert them to plain dictionaries and back."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from alexnet.errors import Refused, choose
from alexnet.recipe.options import check_type, in_short
from alexnet.recipe.schema import Recipe

Changed = TypeVar("Changed")


def changed(recipe: Changed, diff: Mapping[str, Any]) -> Changed:
    """Return a copy of `recipe` with each dotted field of `diff` replaced, such as {"model.activation": "tanh"}.

    Positions in a tuple are numbers, or "last": "model.layers.0.outputs". All fields change at once, so that two that must
    agree can be changed together. Raises Refused for a field that does not exist (the message names the nearest ones), and for
    a value whose type differs from the old value's.
    """
    return _replaced(recipe, {tuple(path.split(".")): value for path, value in diff.items()}, "", recipe)


def _replaced(node: Any, diff: Mapping[tuple[str, ...], Any], prefix: str, root: Any) -> Any:
    by_name: dict[str, dict] = {}
    for (name, *deeper), value in diff.items():
        if isinstance(node, tuple) and name == "last":
            name = str(len(node) - 1)
        by_name.setdefault(name, {})[tuple(deeper)] = value
    new = {}
    for name, inner in by_name.items():
        path = f"{prefix}{name}"
        old = _part(node, name, ".".join((path, *next(iter(inner)))), prefix, root)
        if () in inner:
            value = inner.pop(())
            check_type(path, value, type(old))
            old = value
        new[name] = _replaced(old, inner, f"{path}.", root) if inner else old
    if isinstance(node, tuple):
        return tuple(new.get(str(i), old) for i, old in enumerate(node))
    return dataclasses.replace(node, **new)


def _part(node: Any, name: str, written: str, prefix: str, root: Any) -> Any:
    """Return the field `name` of a dataclass or tuple. Raises Refused, naming the path as `written`, if there is none."""
    if isinstance(node, tuple):
        return node[int(choose(written, name, [str(i) for i in range(len(node))]))]
    if not dataclasses.is_dataclass(node):
        raise Refused(f"{written}: {prefix.rstrip('.')} is a plain value and has no field {name!r}")
    names = [field.name for field in dataclasses.fields(node)]
    if name not in names:
        known = [f"{prefix}{n}" for n in names] if prefix else _fields_below(root)
        choose("recipe field", written, sorted(known))
    return getattr(node, name)


def _fields_below(root: Any) -> list[str]:
    """Return the dotted fields that the error for an unknown first name lists."""
    parts = [(f.name, getattr(root, f.name)) for f in dataclasses.fields(root)]
    return [
        path
        for name, part in parts
        for path in ([f"{name}.{f.name}" for f in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else [name])
    ]


def settings(recipe: Any, prefix: str = "") -> dict[str, Any]:
    """Return every field by its dotted name, in declared order. A network's layers are named by their positions."""
    if dataclasses.is_dataclass(recipe):
        items = [(f.name, getattr(recipe, f.name)) for f in dataclasses.fields(recipe)]
    elif isinstance(recipe, tuple):
        items = list(enumerate(recipe))
    else:
        return {prefix: recipe}
    return {k: v for name, value in items for k, v in settings(value, f"{prefix}.{name}" if prefix else str(name)).items()}


def differences(recipe: Recipe, base: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two recipes differ: {dotted name: (value in `base`, value in `recipe`)}. None stands for a
    field that one of them lacks."""
    new, old = settings(recipe), settings(base)
    return {k: (old.get(k), new.get(k)) for k in {**old, **new} if old.get(k) != new.get(k)}


def as_dict(recipe: Recipe) -> dict:
    """Return the recipe as plain dictionaries and lists, for JSON. `from_dict` is the inverse."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def from_dict(plain: Mapping) -> Recipe:
    """Return the recipe that `as_dict` wrote. Fields added since take their defaults. Raises Refused for anything that does not
    fit."""
    recipe = _from_plain(Recipe, plain, "recipe")
    for f in dataclasses.fields(Recipe):
        if f.name not in plain:
            raise Refused(f"recipe.{f.name}: missing")
    return recipe


def _from_plain(kind: Any, plain: Any, path: str) -> Any:
    if isinstance(kind, types.GenericAlias):
        if not isinstance(plain, list | tuple):
            raise Refused(f"{path}: {in_short(plain)} is not a list")
        return tuple(_from_plain(typing.get_args(kind)[0], item, f"{path}.{i}") for i, item in enumerate(plain))
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        check_type(path, plain, kind)
        return plain
    if not isinstance(plain, Mapping):
        raise Refused(f"{path}: {in_short(plain)} is not a mapping of fields")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in plain:
        choose("recipe field", f"{path}.{name}", [f"{path}.{known}" for known in fields])
    for name, f in fields.items():
        if name not in plain and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise Refused(f"{path}.{name}: missing")
    return kind(**{name: _from_plain(fields[name].type, value, f"{path}.{name}") for name, value in plain.items()})
