"""tools/recompute.py: a second program, without the study's code, arrives at the same verdicts."""

import ast
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from tools import recompute
from tools.second_judge import Others, effect_of, needed_p, paired
from tools.second_looks import Tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
PAGE = (ROOT / "docs" / "statistics.md").read_text()
MODULES = [ROOT / "tools" / f"{name}.py" for name in ("recompute", "second_judge", "second_looks")]
LIBRARIES = {"numpy", "scipy", "pandas"}
NO_SECTION = {"root_of", "parsed", "name", "_edge"}
"""Functions that are no part of the method."""
FORGED = "ten_views/cifar10-jpeg/ALEXNET_32/30a9876f240c"

modules = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def found() -> list[recompute.Compared]:
    return list(recompute.compared(Tables(RESULTS)))


@pytest.mark.slow
def test_every_verdict_and_every_replication_of_the_committed_results_is_computed_again_and_agrees(found):
    verdicts, replications = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("verdicts", "replications"))
    assert len(found) == len(verdicts["verdicts"]) + len(replications)
    assert all(one.numbers and not one.why_not for one in found)
    assert [(one.name, number) for one in found for number in one.wrong] == []


@pytest.mark.slow
def test_the_results_of_all_runs_are_those_of_the_report(found):
    """verdicts.json does not hold them."""
    all_runs = {one.name: one.all_runs for one in found}
    lines = (RESULTS / "REPORT.md").read_text().partition("\n## All findings\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if re.match(r"\| \[", line)]
    told = {}
    for row in rows:
        suffix = "_own_rate" if "at its own best learning rate" in row[0] else ""
        told[re.sub(r".*claims/(\w+)\.md.*", rf"\1{suffix}/{row[8]}/{row[1]}", row[0])] = row[4]
    cells = {name: cell for name in all_runs if "[" in (cell := told.get(name.rpartition("/")[0], "-"))}
    assert len(cells) > 30
    for name, cell in cells.items():
        mine = [all_runs[name][end] for end in ("estimate", "lower end of 95%", "upper end of 95%")]
        assert mine == pytest.approx([float(number) for number in re.findall(r"-?\d+\.\d+", cell)], abs=0.00501), name


@pytest.fixture
def one_finding(tmp_path) -> dict:
    """A folder of results with one finding, alone in its family. Returns what verdicts.json holds of it."""
    verdicts = json.loads((RESULTS / "verdicts.json").read_text())["verdicts"]
    (finding,) = [one for one in verdicts if one["id"] == FORGED]
    runs = pd.read_csv(RESULTS / "runs.csv", dtype=str)
    runs = runs[runs.key.isin([key for arm in finding["arms"].values() for key in arm["keys"]])]
    runs.to_csv(tmp_path / "runs.csv", index=False)
    curves = runs[["key", "machine"]].assign(epoch=1, train_error=0.5)  # ten views against one need no curve
    curves.to_csv(tmp_path / "curves.csv", index=False)
    rule = {"family": {finding["claim"]: {finding["base"]: {}}}}
    (tmp_path / "rules.json").write_text(json.dumps({finding["scale"]: [rule]}))
    finding["verdict"]["holm_p"] = finding["verdict"]["p"]
    return {**finding, "claims_in_family": 1}


def written(finding: dict, folder: Path) -> list[str]:
    (folder / "verdicts.json").write_text(json.dumps({"verdicts": [finding]}))
    return ["--results", str(folder)]


def test_numbers_that_agree_end_with_code_0(one_finding, tmp_path):
    assert recompute.main(written(one_finding, tmp_path)) == 0


def test_a_changed_number_is_named_with_both_values_and_ends_with_code_1(one_finding, tmp_path, capsys):
    effect = one_finding["verdict"]["effect"]
    true, effect["lower"] = effect["lower"], effect["lower"] + 0.001
    assert recompute.main(written(one_finding, tmp_path)) == 1
    named = [line for line in capsys.readouterr().out.splitlines() if line.startswith(FORGED)]
    assert len(named) == 1 and f"lower end of 95%: {effect['lower']} in verdicts.json, {true:.6f}"[:-2] in named[0]


def test_a_changed_word_is_named(one_finding, tmp_path, capsys):
    one_finding["verdict"]["direction"] = "no effect"
    assert recompute.main(written(one_finding, tmp_path)) == 1
    assert f"{FORGED}: verdict: no effect in verdicts.json, supported computed again" in capsys.readouterr().out


def test_a_finding_that_cannot_be_computed_again_is_named_with_the_reason(one_finding, tmp_path, capsys):
    one_finding["arms"]["2012"]["outcomes"][0] = "diverged"
    recompute.main(written(one_finding, tmp_path))
    assert f"{FORGED}: not computed again, because a run failed" in capsys.readouterr().out


@modules
def test_it_imports_nothing_of_the_study(path):
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    others = {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names | LIBRARIES}
    assert others <= {f"tools.{module.stem}" for module in MODULES}


@pytest.mark.parametrize("path", MODULES[1:], ids=lambda path: path.stem)
def test_every_function_names_a_section_that_is_on_the_page(path):
    titles = {*re.findall(r"^## (.+)$", PAGE, re.M), *re.findall(r"\*\*(.+?)[.:]?\*\*", PAGE)}
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    public = [node for node in nodes if ast.get_docstring(node) and node.name not in NO_SECTION]
    assert len(public) > 15
    for node in public:
        named = set(re.findall(r'"([A-Z][^"(]+)"', " ".join(str(ast.get_docstring(node)).split())))
        assert named and named <= titles, f"{node.name}: {named - titles}"


def test_the_worked_example_of_the_page_comes_out():
    rows = dict(re.findall(r"^\| (none|2012) \|(.*)\|$", PAGE, re.M))
    errors = {arm: [float(value) for value in re.findall(r"\d+\.\d+", row)] for arm, row in rows.items()}
    arms = [{("one", seed): error for seed, error in enumerate(errors[arm])} for arm in ("none", "2012")]
    effect = effect_of(paired(*arms), Others(0.36**2, 2.0))
    estimate, lower, upper, p = re.findall(r"\*\*\+(\d+\.\d+) points\*\*.*?interval (\S+) to (\S+), p = (\S+)\.", PAGE, re.S)[0]
    assert effect.estimate == pytest.approx(float(estimate), abs=0.006)
    assert effect.limits() == pytest.approx((float(lower), float(upper)), abs=0.012)
    assert effect.p_of_direction(1) == pytest.approx(float(p), abs=0.00006)


def test_the_looks_need_the_p_values_of_the_page():
    (on_page,) = re.findall(r"p values of (\S+), (\S+), (\S+) and (\S+) for the four looks", PAGE)
    assert needed_p(0.05, (0.25, 0.5, 0.75, 1.0)) == pytest.approx([float(p) for p in on_page], abs=0.00006)
