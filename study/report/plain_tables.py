"""Tables of texts for the pages. A value that is the same in every row is written once, below the table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

NOTHING = "-"


def table(rows: Sequence[Mapping[str, Any]], keep: Collection[str] = ()) -> dict[str, Any]:
    """Return {"head", "rows", "same"} of rows with the same columns. A column that is empty in all rows is left out and, with
    two or more rows, one with the same value in all rows moves to "same". Columns in `keep` stay."""
    head = list(rows[0]) if rows else []
    same = []
    for name in head:
        values = {row[name] for row in rows}
        if name not in keep and len(values) == 1 and (len(rows) > 1 or values <= {NOTHING, ""}):
            same.append((name, values.pop()))
    shown = [name for name in head if name not in dict(same)]
    return {
        "head": shown,
        "rows": [[row[name] for name in shown] for row in rows],
        "same": "; ".join(f"{name} {value}" for name, value in same if value not in (NOTHING, "")),
    }
