"""`make docs-map`: write the tables of modules in docs/modules.md, with the first paragraph of each module's docstring."""

import argparse
import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "modules.md"
BEGIN, END = "<!-- made by `make docs-map` -->", "<!-- end of what `make docs-map` made -->"
# In the order of the data, as in tests/test_layers.py.
FOLDERS = [
    *(f"alexnet{folder}" for folder in ("", "/recipe", "/kernels", "/model", "/data", "/training")),
    "study",
    *(f"study/{folder}" for folder in ("questions", "claims", "plan", "run", "record", "judge", "report", "tracking", "cli")),
]


def modules(folder: str) -> list[Path]:
    """Return the modules of a folder and the folders in it, without empty ones. For a top-level package, only its own files."""
    found = sorted((ROOT / folder).glob("*.py") if "/" not in folder else (ROOT / folder).rglob("*.py"))
    return [path for path in found if path.read_text().strip()]


def first_paragraph(path: Path) -> str:
    """Return the first paragraph of a module's docstring, as a table cell."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|").strip()


def file_map() -> str:
    """Return the tables, one for each folder."""
    parts = []
    for folder in FOLDERS:
        rows = [
            f"| [{path.relative_to(ROOT / folder)}](../{path.relative_to(ROOT)}) | {first_paragraph(path)} |"
            for path in modules(folder)
        ]
        parts.append("\n".join([f"### {folder}/", "", "| file | what it is |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def main() -> None:
    argparse.ArgumentParser(prog="python -m tools.file_map", description=__doc__).parse_args()
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{file_map()}\n\n{END}{after}")
    print(PAGE)


if __name__ == "__main__":
    main()
