"""Folders are layers in the order of the data flow: each imports only earlier ones. No module is longer than 400 lines."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each line may import itself and the lines above it. docs/architecture.md says why they stand in this order.
LAYERS = {
    "alexnet": ["errors files card system machine", "recipe", "kernels", "rng", "model", "data", "training"],
    "study": [
        "counted environment output network_text",
        "questions",
        "claims",
        "plan",
        "run",
        "record",
        "judge",
        "report",
        "tracking",
        "cli",
    ],
}
LONGEST = 400  # lines


def rank(package: str, module: str) -> int:
    """Which line of LAYERS a module stands in, by the folder or file right under its package; the package itself comes last."""
    name = [*module.split("."), "__init__"][1]
    if name in ("__init__", "__main__"):
        return len(LAYERS[package])
    found = [number for number, line in enumerate(LAYERS[package]) if name in line.split()]
    assert found, f"{module}: {name} is in no layer of {package}; tests/test_layers.py lists them"
    return found[0]


def imported(source: str, module: str) -> list[tuple[int, str]]:
    """(line, module) of each import in `source`, those inside functions and for type checkers alone among them."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:  # relative: `from . import x` in alexnet.model.network means alexnet.model.x
                start = ".".join([*module.split(".")[: -node.level], *([node.module] if node.module else [])])
            # `from alexnet import files` imports the module alexnet.files; `from alexnet import PAPER` the package.
            found += [(node.lineno, f"{start}.{alias.name}" if start in LAYERS else start) for alias in node.names]
    return list(dict.fromkeys(found))


def what_is_wrong(source: str, module: str) -> list[str]:
    """One line for each import of `module` against the layers."""
    package = module.partition(".")[0]
    wrong = []
    for line, target in imported(source, module):
        theirs, _, name = target.partition(".")
        is_module = (ROOT / theirs / name.split(".")[0]).is_dir() or (ROOT / theirs / f"{name.split('.')[0]}.py").is_file()
        if theirs == "study" and package == "alexnet":
            wrong.append(f"line {line} imports {target}: alexnet never imports study")
        elif theirs in ("tests", "tools", "benchmarks"):
            wrong.append(f"line {line} imports {target}, which is not in the package")
        elif theirs == package and rank(package, target if is_module else theirs) > rank(package, module):
            wrong.append(f"line {line} imports {target}, which comes after it")
    return wrong


def modules() -> list[Path]:
    return sorted(path.relative_to(ROOT) for package in LAYERS for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_module_imports_only_what_comes_before_it(path):
    wrong = what_is_wrong((ROOT / path).read_text(), name_of(path))
    assert not wrong, "\n".join(f"{path}, {one}" for one in wrong)


def imports_among(sources: dict[str, str]) -> dict[str, set[str]]:
    """Of each module those of `sources` that it imports; a package is named without __init__."""
    graph = {}
    for module, source in sources.items():
        targets = {alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names}
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                submodules = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                targets |= {node.module or "", *submodules.values()}  # a name of a package is looked for in the package first
        graph[module] = targets & sources.keys() - {module}
    return graph


def test_no_modules_import_one_another_in_a_circle_not_even_inside_functions():
    sources = {name_of(path).removesuffix(".__init__"): (ROOT / path).read_text() for path in modules()}
    tuple(graphlib.TopologicalSorter(imports_among(sources)).static_order())  # raises CycleError, which names the circle


def test_a_circle_is_found():
    circle = {"study.a": "from study.b import x", "study.b": "def f():\n    from study import a"}
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(imports_among(circle)).static_order())


@pytest.mark.parametrize("path", modules(), ids=str)
def test_no_module_is_longer_than_is_read_at_once(path):
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= LONGEST, f"{path}: {lines} lines; {LONGEST} are allowed"


@pytest.mark.parametrize(
    "module, source, lines",
    [
        ("alexnet.model.network", "from alexnet.recipe import Recipe", []),
        ("alexnet.recipe.key", "import alexnet.training.loop", ["line 1 imports alexnet.training.loop, which comes after it"]),
        ("alexnet.rng", "\nfrom alexnet import data", ["line 2 imports alexnet.data, which comes after it"]),
        ("alexnet.rng", "from alexnet import PAPER", ["line 1 imports alexnet.PAPER, which comes after it"]),
        ("alexnet.rng", "def f():\n    from study.run import queue", ["line 2 imports study.run: alexnet never imports study"]),
        ("alexnet.recipe.__init__", "from .key import key_of\nfrom ..errors import Refused", []),
        ("study.run.queue", "from ..judge import judge", ["line 1 imports study.judge, which comes after it"]),
        ("study.judge.rules", "from study.run.run_folder import Results\nfrom alexnet.training import loop", []),
        ("study.cli.main", "from benchmarks.x import y", ["line 1 imports benchmarks.x, which is not in the package"]),
    ],
)
def test_an_import_against_the_layers_is_told_with_its_line(module, source, lines):
    assert what_is_wrong(source, module) == lines
