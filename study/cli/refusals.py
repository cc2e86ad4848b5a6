"""Translates refusals of `alexnet`, which name function arguments, to the options and variables of the command line."""

from alexnet.errors import NeedsPacking, Refused

TYPED = {
    "device": "DEVICE",
    "precision": "PRECISION",
    "jobs": "JOBS",
    "ranks": "nproc-per-node",
    "folder": "DATA_DIR",
    "source": "--from",
    "damaged": "DAMAGED",
    "links": "LINKS",
    "name": "--name",
    "test_percent": "--test-percent",
    "checkpoints": "SPOOL_DIR",
}
"""What the user types on the command line, by the argument that it becomes."""


def as_typed(refused: Refused) -> str:
    """Return the one line to print."""
    text = str(refused)
    if isinstance(refused, NeedsPacking):
        command = f"python -m study data pack {refused.name} --from {refused.source or 'DIR'}"
        text = f"{refused.why}; `{command}` {refused.what_packing_does}"
    if refused.field in TYPED:
        text = TYPED[refused.field] + text.removeprefix(refused.field)
    return text.replace("damaged='skip'", "DAMAGED=skip").replace("links='follow'", "LINKS=follow")
