"""A refusal of `alexnet`, which names arguments of functions, in words of the command line, which has options and variables."""

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
"""What the user of the command line types, by the argument that it becomes."""


def as_typed(refused: Refused) -> str:
    """The one line to print."""
    text = str(refused)
    if isinstance(refused, NeedsPacking):
        command = f"python -m study data pack {refused.name} --from {refused.source or 'DIR'}"
        text = f"{refused.why}; `{command}` {refused.what_packing_does}"
    if refused.field in TYPED:
        text = TYPED[refused.field] + text.removeprefix(refused.field)
    return text.replace("damaged='skip'", "DAMAGED=skip").replace("links='follow'", "LINKS=follow")
