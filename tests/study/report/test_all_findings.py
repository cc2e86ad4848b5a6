"""study/report/all_findings.py: on which page a finding is, and the table at its top."""

import pytest
from made_up_findings import SCALE, at_own, found

from study.report import all_findings
from study.report.all_findings import ON_ITS_PAGE, page_of, side_by_side
from study.report.plain_tables import NOTHING

SHARED, OWN = (made("response_norm", scale=SCALE, fingerprint="f00d") for made in (found, at_own))


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    """A row is told by the claim's name alone, and no finding says anything on other images."""
    row = dict.fromkeys(ON_ITS_PAGE, NOTHING)
    monkeypatch.setattr(all_findings, "overview_row", lambda one: row | {"verdict": one.claim_name, "runs": "3+5"})


def test_a_claim_at_own_rates_is_on_the_page_of_its_claim():
    assert page_of(SHARED.question) == page_of(OWN.question) == "claims/response_norm.md"


def test_a_claim_whose_name_alone_ends_as_those_at_own_rates_do_is_on_a_page_of_its_own():
    plain = found(OWN.claim_name, claim=SHARED.claim, scale=SCALE)
    assert page_of(plain.question) == "claims/response_norm_own_rate.md"
    assert side_by_side([plain])["heads"][0]["text"] == SCALE


def test_findings_of_a_page_are_columns_that_are_told_apart():
    table = side_by_side([SHARED, OWN])
    assert [head["text"] for head in table["heads"]] == ["cifar10-jpeg", "cifar10-jpeg, own rates"]
    assert table["heads"][0]["anchor"] != table["heads"][1]["anchor"]
    assert dict(table["lines"])["verdict"] == ["response_norm", "response_norm_own_rate"]


def test_a_line_that_is_empty_for_every_finding_is_left_out():
    assert [name for name, _ in side_by_side([SHARED, OWN])["lines"]] == ["verdict", "runs"]


def test_bases_are_told_where_a_claim_has_several_at_a_scale():
    heads = side_by_side([SHARED, found("response_norm", scale=SCALE, fingerprint="f00d", base="MINE")])["heads"]
    assert [head["text"] for head in heads] == ["cifar10-jpeg, ALEXNET_32", "cifar10-jpeg, MINE"]
