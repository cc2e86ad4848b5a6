"""Finds the executor that a user names."""

import importlib

from alexnet.errors import Refused, choose
from study.environment import launched_ranks
from study.run.executors.base import Executor

PACKAGES = {"local": "", "ray": "ray", "slurm": "submitit"}
"""The package that each executor needs. The extras of pyproject.toml have the same names as the executors."""


def executor_named(name: str, device: str) -> Executor:
    """Return the executor "local", "ray" or "slurm" for runs on `device`, "cpu" or "cuda".

    On a GPU "local" uses one process for all runs; under torchrun it uses the ranks that torchrun started. Raises Refused for
    another name, and if the package that the executor needs is not installed.
    """
    choose("EXECUTOR", name, PACKAGES)
    if launched_ranks() > 1:
        if name != "local":
            raise Refused(
                f"EXECUTOR: {name!r} cannot run under torchrun, whose ranks do the work themselves; "
                "choose local, or leave out torchrun"
            )
        return _made("torchrun", "Torchrun")
    if name == "local":
        return _made("one_gpu", "OneGpu") if device == "cuda" else _made("local", "LocalProcesses")
    try:
        return _made(name, name.capitalize())
    except ImportError as error:
        package = PACKAGES[name]
        raise Refused(
            f"EXECUTOR: {name!r} needs the package {package}, which cannot be imported ({error}): pip install {package}; "
            f"or choose {', '.join(other for other in PACKAGES if other != name)}"
        ) from None


def _made(module: str, kind: str) -> Executor:
    """Import and create an executor. Only the chosen one is imported, because each needs packages that the others do not."""
    return getattr(importlib.import_module(f"study.run.executors.{module}"), kind)()
