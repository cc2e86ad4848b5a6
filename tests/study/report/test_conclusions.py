"""The end of a run in a few words: the verdict, and what to do next. Of the committed tables' kinds of verdicts, made up."""

from dataclasses import replace

import pytest
from made_up_arms import arms_of, case_of, decided

from study.judge.family import Finding
from study.plan.claim_files import get_claim
from study.report.conclusions import in_two_sentences, next_words, short_verdict

NORM = get_claim("response_norm")


def found(with_norm, without, scale: str = "cifar10-jpeg") -> Finding:
    arms = arms_of(**{NORM.arms[0].label: with_norm, NORM.rule.treated: without})
    case = case_of(NORM, arms, scale=scale, machines=("here",))
    return Finding(**vars(case), verdict=decided(NORM, arms, native=False), effects={}, seconds_ratio=None)


CONTROL = [30.0, 30.1, 29.9, 30.05, 29.95]
SURE = found(CONTROL, [32.0, 32.1, 31.9])
OPEN = found(CONTROL, [30.1, 29.3, 31.5])
BEGUN = found(CONTROL[:2], [31.0, 32.0])


def test_the_verdict_is_two_sentences_with_the_number_here_and_the_papers():
    verdict, here = in_two_sentences(SURE).split(". Here")
    assert verdict == f"{NORM.title} (ALEXNET_32): supported, size not judged (proxy)"
    assert "+2.00 points [" in here and "with n=3+5 on cifar10-jpeg on here; the paper says +1.4 points" in here


def test_an_interval_of_too_few_runs_is_called_unfinished():
    assert "unfinished, with n=2" in in_two_sentences(BEGUN) and "incomplete" in short_verdict(BEGUN)
    assert "unfinished" not in in_two_sentences(OPEN)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (SURE, "list"),
        (OPEN, "run response_norm --scale cifar10-jpeg --seeds 6"),
        (BEGUN, "run response_norm --scale cifar10-jpeg --seeds 3"),
        (replace(OPEN, base="SOURCE_2012"), "run response_norm --scale cifar10-jpeg --base SOURCE_2012 --seeds 6"),
        (found(CONTROL, [32.0, 32.1, 31.9], "shapes"), "plan response_norm --scale cifar10-jpeg"),  # its first that is real
    ],
)
def test_the_next_command_is_the_one_that_helps(one, words):
    claim = replace(NORM, default_bases=("ALEXNET_32",), scales={"cifar10-jpeg": "proxy", "shapes": "machinery"})
    assert " ".join(next_words("response_norm", one.scale, [replace(one, claim=claim)])[0]) == words


def test_after_made_up_images_the_next_command_brings_real_ones_where_none_are():
    """A plan of images that are still to be downloaded is refused."""
    claim, one = replace(NORM, scales={"cifar10": "proxy", "shapes": "machinery"}), found(CONTROL, [32.0, 32.1, 31.9], "shapes")
    words, why = next_words("response_norm", "shapes", [replace(one, claim=claim)], is_there=lambda data: data != "cifar10")
    assert words == ["data", "pack", "cifar10"] and "`plan response_norm --scale cifar10`" in why


def test_without_any_finding_the_next_command_shows_what_is_missing():
    assert next_words("response_norm", "shapes", [])[0] == ["plan", "response_norm", "--scale", "shapes"]
