"""Tables of texts, as the pages show them: what is the same in every row is said once, beside the table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

NOTHING = "-"


def table(rows: Sequence[Mapping[str, Any]], keep: Collection[str] = ()) -> dict[str, Any]:
    """{"head", "rows", "same"} of rows that have the same columns. Of two rows and more, a column that holds the same in all of
    them is told in "same", and one that is empty in all of them is left out; not those in `keep`."""
    head = list(rows[0]) if rows else []
    same = []
    for name in head if len(rows) > 1 else ():
        values = {row[name] for row in rows}
        if name not in keep and len(values) == 1:
            same.append((name, values.pop()))
    shown = [name for name in head if name not in dict(same)]
    return {
        "head": shown,
        "rows": [[row[name] for name in shown] for row in rows],
        "same": "; ".join(f"{name} {value}" for name, value in same if value not in (NOTHING, "")),
    }
