"""Names of picture files: as links hold them, and one claim's each."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from study.plan.claim_files import all_claims
from study.record.figure_files import arrays_path, picture_path

ODD = ("my claim", "my  claim", "my-claim", "claim (1)", "claim#2", "50%", "größer", "a?b", "[x]", "naïve claim")


@pytest.mark.parametrize("claim", ODD)
def test_a_link_to_a_picture_needs_no_quoting_whatever_its_claim_is_called(claim):
    names = [
        picture_path(Path(), claim, "shapes", "errors").name,
        arrays_path(Path(), claim, "shapes", "AMD EPYC x 2, bf16", "figure-4").name,
    ]
    assert all(quote(name) == name and re.fullmatch(r"[\w.-]+", name) for name in names)


def test_no_two_claims_share_a_picture():
    assert len({picture_path(Path(), claim, "shapes", "errors") for claim in ODD}) == len(ODD)


def test_a_name_that_a_link_holds_stays_as_it_is():
    for claim in (*all_claims(), "mine-2.b"):
        assert picture_path(Path("r"), claim, "shapes", "errors") == Path("r/figures") / f"{claim}-shapes-errors.png"
