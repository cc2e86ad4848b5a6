"""The executor that a user names."""

import importlib

from alexnet.errors import Refused, choose
from study.environment import launched_ranks
from study.run.executors.base import Executor

PACKAGES = {"local": "", "ray": "ray", "slurm": "submitit"}
"""By the name of an executor the package that it needs; the extras of pyproject.toml have the same names as the executors."""


def executor_named(name: str, device: str) -> Executor:
    """The executor "local", "ray" or "slurm" for runs on `device`, "cpu" or "cuda".

    "local" is one process for all runs on a GPU, and under torchrun the ranks that it started. Raises Refused for another name
    and where the package that it needs is not installed.
    """
    choose("EXECUTOR", name, PACKAGES)
    if launched_ranks() > 1:
        if name != "local":
            raise Refused(
                f"EXECUTOR: {name!r} under torchrun, whose ranks do the work themselves; choose local, or no torchrun"
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
    """Imported where it is asked for: each needs packages that the others do not."""
    return getattr(importlib.import_module(f"study.run.executors.{module}"), kind)()
