"""study/report/overview.py: how many there are of what, and the one list of words."""

import re
from types import SimpleNamespace

from study.plan.claim_files import all_claims
from study.report.overview import GLOSSARY, counts_words

CLAIMS = all_claims()


def found(name: str, scale: str, asked: int, base: str = "ALEXNET_32", in_family: bool = True, data: str = "cifar10-jpeg"):
    facts = {"claim_name": name, "claim": CLAIMS[name], "scale": scale, "base": base, "data": data}
    return SimpleNamespace(**facts, claims_in_family=asked, in_family=in_family)


def test_the_counts_of_claims_and_findings_stand_in_one_place_and_add_up():
    text = counts_words(
        [
            found("response_norm", "cifar10-jpeg", 23),
            found("response_norm", "cifar10-jpeg-2500", 18),
            found("weight_decay", "cifar10-jpeg-2500", 18),
            found("depth", "cifar10-jpeg-2500", 19, in_family=False),  # judged as if it were one more
            found("response_norm", "tiny-imagenet-100", 26, base="ALEXNET_64", data="tiny-imagenet-100"),
            found("interactions", "cifar10-jpeg", 24),  # claims nothing, and is no finding
        ],
        CLAIMS,
    )
    assert "23 at cifar10-jpeg, 18 at cifar10-jpeg-2500, 26 at tiny-imagenet-100." in text
    assert "1 at cifar10-jpeg, 3 at cifar10-jpeg-2500, 1 at tiny-imagenet-100, 5 in all (1 of them on an extra question" in text
    of_paper, own = map(int, re.findall(r"makes (\d+) claims .* we also ask (\d+) questions", text)[0])
    assert of_paper + own == sum(claim.rule.is_tested for claim in CLAIMS.values())


def test_of_no_finding_nothing_is_counted():
    assert counts_words([], CLAIMS) == ""


def test_the_one_list_of_words_has_each_that_pages_and_tables_use_in_a_sense_of_their_own():
    private = (
        "arm base scale regime seed block look margin alone finally replication reading signal-kept factor-only gap proxy n"
    )
    assert set(private.split()) == set(GLOSSARY)
