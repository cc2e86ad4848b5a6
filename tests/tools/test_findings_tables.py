"""tools/findings_tables.py: the tables of README.md and docs/findings.md, for findings made up by hand."""

from types import SimpleNamespace

import pytest
from made_up_findings import FEW, HIGHER, LITTLE, SCALE, at_own, found

from tools.findings_tables import factor_lines, made_anew, regime_lines, sure_words

TITLE = "Without response normalization the error is higher"
PAGE = "results/claims/response_norm.md"


def rows(*findings) -> list[list[str]]:
    """The cells of the table of all findings at both regimes, without its heads and what is below it."""
    lines = [line for line in regime_lines(findings, [SCALE, FEW]) if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_a_claim_has_a_row_with_a_column_for_each_regime_and_its_own_rates():
    line = rows(found("response_norm"), found("response_norm", LITTLE, FEW), at_own("response_norm"))
    assert [cells[:2] for cells in line] == [[f"[{TITLE}]({PAGE})", "+1.4"]] and len(line[0]) == 5
    assert line[0][2].startswith("+1.98 [") and line[0][2].endswith("<br>supported, n=3+5")
    assert line[0][3].startswith("+0.3") and line[0][4] == line[0][2]


def test_a_claim_on_two_bases_has_a_row_for_each():
    assert [cells[0] for cells in rows(found("response_norm"), found("response_norm", LITTLE, base="MINE"))] == [
        f"[{TITLE} (ALEXNET_32)]({PAGE})",
        f"[{TITLE} (MINE)]({PAGE})",
    ]


def test_a_design_has_no_row():
    assert rows(found("interactions_of_four")) == []


@pytest.mark.parametrize(
    ("outcomes", "ends"),
    [
        ([], "supported, n=3+5"),
        (["not confirmed"], "supported‡, n=3+5"),
        (["not confirmed"] * 2, "supported‡, n=3+5"),
        (["seen again"], "supported, seen again, n=3+5"),
        (["seen again", "not confirmed"], "supported, seen again in 1 of 2 replications, n=3+5"),
    ],
)
def test_the_cell_says_whether_fresh_pairs_confirmed_it(outcomes, ends):
    again = tuple(SimpleNamespace(outcome=outcome) for outcome in outcomes)
    assert rows(found("response_norm", HIGHER, replicated=again))[0][2].endswith(f"<br>{ends}")


def test_verdicts_and_claims_that_were_not_run_are_counted():
    some = [found("response_norm"), found("response_norm", [42.0], FEW)]
    assert sure_words(some, ["response_norm", "depth"]) == "How sure: 1 supported, 1 incomplete, 1 not run."


def test_a_page_keeps_what_is_outside_its_blocks():
    page = "before\n\n<!-- outcome: all -->\nold\n<!-- end -->\n\nafter\n"
    text = "**1 finding: 1 supported.**"
    assert made_anew(page, [found("response_norm")]) == page.replace("\nold\n", f"\n\n{text}\n\n")


def test_factors_stand_by_treatment_and_network_and_a_treatment_without_runs_has_no_row():
    relu = [4.0, 4.0, 4.0, 4.0, 4.0]
    some = [found("relu_sooner", [times] * 3, control=relu, base=base) for base, times in (("A-today", 8.0), ("C-today", 12.0))]
    lines = factor_lines(some, ["relu_sooner", SCALE])
    assert [line.strip("|").split(" | ")[0].strip() for line in lines[2:4]] == ["tanh, today", "sigmoid, today"]
    assert lines[0] == "| treatment | network A | network B | network C |" and len(lines) == 6
    a, b, c = (cell.strip() for cell in lines[2].strip("|").split(" | ")[1:])
    assert (a[:2], b, c[:2]) == ("x2", "-", "x3")
    assert "8.00 against 4.00 epochs" in a and "12.0 against 4.00 epochs" in c and a.endswith("n=3+5")
