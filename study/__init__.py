"""The claims of the AlexNet paper (2012), tested again with several seeds: `python -m study`.

To load a trained network in a program:

from study import load_network

network = load_network("1c3b22870c71c67c")  # the column "key" of results/runs.csv
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.run.trained_network import load_network

__all__ = ["load_network"]


def __getattr__(name: str) -> Any:  # imported on demand: it needs torch, and most commands do not
    if name in __all__:
        return getattr(importlib.import_module("study.run.trained_network"), name)
    raise AttributeError(f"module 'study' has no attribute {name!r}")
