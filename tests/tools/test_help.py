"""What `--help` of tools and benchmarks shows of their docstrings."""

import ast
from pathlib import Path

import pytest

from tools import digests

ROOT = Path(__file__).parents[2]
MODULES = [path for folder in ("tools", "benchmarks") for path in sorted((ROOT / folder).glob("*.py"))]


def parsers_of_its_docstring(module: ast.Module) -> list[ast.Call]:
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    return [c for c in calls if any(k.arg == "description" and ast.unparse(k.value) == "__doc__" for k in c.keywords)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_docstring_of_several_paragraphs_keeps_its_lines(path):
    """argparse flows all of it into one paragraph otherwise, and two commands into one."""
    module = ast.parse(path.read_text())
    if "\n\n" in (ast.get_docstring(module) or ""):
        keywords = [{k.arg: ast.unparse(k.value) for k in parser.keywords} for parser in parsers_of_its_docstring(module)]
        assert all(one.get("formatter_class") == "argparse.RawDescriptionHelpFormatter" for one in keywords)


def test_each_command_of_digests_has_a_line_of_its_own(capsys):
    with pytest.raises(SystemExit):
        digests.main(["--help"])
    commands = [line.split("  ")[2] for line in capsys.readouterr().out.splitlines() if line.startswith("    python -m")]
    assert commands == ["python -m tools.digests", "python -m tools.digests --write"]
