"""Start a Python process without some of the installed packages, to test what happens when they are missing."""

import re
from importlib import metadata

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}: blocked by a test", name=name)

sys.meta_path.insert(0, Blocked())
"""


def needed_by(*names: str) -> set[str]:
    """Return the distributions `names` and all that they require."""
    found, left = set(), list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name not in found:
            found.add(name)
            try:
                requirements = metadata.requires(name) or []
            except metadata.PackageNotFoundError:  # for another system
                continue
            left += [re.match(r"[\w.-]+", text).group() for text in requirements if "extra ==" not in text]
    return found


def all_but(*names: str) -> list[str]:
    """Return the modules of every installed distribution that none of `names` needs."""
    allowed = needed_by(*names)
    return sorted(
        module
        for module, of in metadata.packages_distributions().items()
        if module not in ("alexnet", "study") and not {re.sub(r"[-_.]+", "-", name).lower() for name in of} & allowed
    )


def program(text: str, *names: str) -> str:
    """Return `text` as a program for `python -c` that can import only the distributions `names` and what they need."""
    return f"BLOCKED = set({all_but(*names)!r})\n{BLOCK}{text}"
