"""Finds the executor that a user names."""

import sys

from alexnet.errors import Refused, choose
from alexnet.machine import launched
from study.run.executors.base import Executor

PACKAGES = {"local": "", "ray": "ray", "slurm": "submitit"}
"""The package that each executor needs. The extras of pyproject.toml have the same names as the executors."""


def executor_named(name: str, device: str) -> Executor:
    """Return the executor "local", "ray" or "slurm" for runs on `device`, "cpu" or "cuda".

    On a GPU "local" uses one process for all runs; under torchrun it uses the ranks that torchrun started. Raises Refused for
    another name, and if the package that the executor needs is not installed.
    """
    choose("EXECUTOR", name, PACKAGES)
    # Only the chosen one is imported, because each needs packages that the others do not.
    if launched().count > 1:
        if name != "local":
            raise Refused(
                f"EXECUTOR: {name!r} cannot run under torchrun, whose ranks do the work themselves; "
                "choose local, or leave out torchrun"
            )
        from study.run.executors.torchrun import Torchrun

        return Torchrun()
    if name == "local" and device == "cuda":
        from study.run.executors.one_gpu import OneGpu

        return OneGpu()
    if name == "local":
        from study.run.executors.local import LocalProcesses

        return LocalProcesses()
    try:
        if name == "ray":
            from study.run.executors.ray import Ray

            return Ray()
        from study.run.executors.slurm import Slurm

        return Slurm()
    except ImportError as error:
        package = PACKAGES[name]
        raise Refused(
            f"EXECUTOR: {name!r} needs the package {package}, which {sys.executable} cannot import ({error}): "
            f"`pip install '.[{name}]'` in the checkout brings it; "
            f"or choose {', '.join(other for other in PACKAGES if other != name)}"
        ) from None
