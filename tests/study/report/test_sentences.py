"""study/report/sentences.py: verdicts in sentences, for runs made up by hand."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import FAILED, HERE, THERE, arm_of, arms_of, case_of, decided, finding_of, with_runs

from study.judge.decision import decide
from study.judge.rules import judge
from study.plan.claim_files import all_claims
from study.report.cautions import cautions
from study.report.sentences import look_words, more_seeds_words, verdict_sentences, verdict_words, why

few_examples = settings(max_examples=15, deadline=None, derandomize=True, database=None)

CLAIMS = all_claims()
DECAY, NORM, RELU, VIEWS = (CLAIMS[name] for name in ("weight_decay", "response_norm", "relu_sooner", "ten_views"))
FIVE = [40.0, 40.1, 40.05, 39.95, 40.02]
HIGHER, EQUAL, WIDE = [42.0, 42.1, 41.95], [40.0, 40.09, 40.06], [38.0, 42.5, 40.0]


def found(claim, verdict, role="native", arms=()):
    """A finding, as far as words need it."""
    return finding_of(claim, verdict, role=role, arms=arms)


def of(treated, control=FIVE, **more):
    return decided(DECAY, arms_of(**{"0.0005": control, "none": treated}), **more)


def are_sentences(text: str) -> bool:
    """Each begins with a capital letter and ends with a full stop, with one space between."""
    return text.endswith(".") and "  " not in text and all(part[:1].isupper() for part in re.split(r"(?<=[a-z)])\. ", text))


def says_against_what(text: str) -> bool:
    """Whether each p value stands behind what it is against: it is no probability that something is so."""
    return (
        len(re.findall(r"[Aa]gainst [^.:]*(?:\.\d[^.:]*)*: p = ", text)) == len(re.findall(r"\bp = ", text))
        and "has p" not in text
    )


# ---- Sentences -------------------------------------------------------------------------------------------------------


def test_limits_of_a_few_scattered_times_are_told_without_powers_of_ten():
    verdict = decided(RELU, arms_of(relu=[2.0, 0.5, 3.0, 2.0, 2.0], tanh=[5.0, 55.0, 3.0]))
    assert verdict.effect.upper > 1000
    assert f" to {verdict.effect.upper:.0f}; n=3+5)" in why(found(RELU, verdict))


@pytest.mark.parametrize(
    ("treated", "says"),
    [
        (HIGHER, "in the claim's direction"),
        ([38.0, 38.1, 37.95], "in the other direction"),
        (EQUAL, "There is no effect that matters"),
        (WIDE, "Neither test decides"),
        ([41.0], "Nothing is judged yet: 1 run of none and 5 of 0.0005 are in, and 2 more of an arm are needed"),
        ([FAILED] * 3, "there is nothing to compare"),
    ],
)
def test_a_difference_is_told_in_whole_sentences_that_say_the_verdict(treated, says):
    verdict = of(treated, [FAILED] * 5 if treated[0] == FAILED else FIVE)
    sentences = why(found(DECAY, verdict))
    assert are_sentences(sentences) and says in sentences and "nan" not in sentences
    tested = verdict.direction in ("supported", "contradicted", "no effect", "undecided")
    assert says_against_what(sentences) and ("Test against no effect at all: p = " in sentences) == tested
    assert ("against an effect beyond 0.5 points either way: p = " in sentences) == (
        verdict.direction in ("no effect", "undecided")
    )
    if verdict.is_decided:
        assert f"{verdict.effect.lower:+.2f} to {verdict.effect.upper:+.2f}" in sentences
        assert "n=3+5; pairs that share a seed: 3" in sentences


@few_examples
@given(*[st.lists(st.none() | st.floats(1, 50), max_size=5)] * 2)
def test_of_times_it_is_told_in_whole_sentences_that_hold_the_interval(tanh, relu):
    verdict = decided(RELU, arms_of(tanh=tanh, relu=relu), "A-2012")
    sentences = verdict_sentences(RELU.rule, RELU.measure, verdict)
    assert are_sentences(sentences) and says_against_what(sentences)
    if verdict.direction != "incomplete":
        assert f"{verdict.effect.lower:.3g} to {verdict.effect.upper:.3g}" in sentences


def test_of_times_that_never_came_it_says_at_least():
    verdict = decided(RELU, arms_of(tanh=[None] * 3, relu=[9.0, 11.0, 10.0, 9.5, 10.5]), "A-2012")
    assert re.match(r"Tanh took at least [\d.]+ times as long as relu", verdict_sentences(RELU.rule, RELU.measure, verdict))


def test_a_gain_is_told_by_what_is_subtracted_from_what():
    verdict = decided(VIEWS, {"2012": arm_of("2012", [-1.5, -1.6, -1.4, -1.55, -1.45])})
    sentences = verdict_sentences(VIEWS.rule, VIEWS.measure, verdict)
    assert (
        sentences.startswith("Ten views minus the centre view is -1.50 points")
        and "; n=5, each run against itself" in sentences
    )


def test_the_next_look_and_what_it_needs_are_told():
    verdict = of(WIDE)
    assert (look_words(verdict), more_seeds_words(found(DECAY, verdict))) == ("1 of 4", "3 more per arm for look 2 of 4")
    assert "The next look needs 3 more seeds of an arm." in why(found(DECAY, verdict))


# ---- Cautions --------------------------------------------------------------------------------------------------------


IDLE = "stalled"


@pytest.mark.parametrize(
    ("ends", "words"),
    [((FAILED, FAILED), "diverged"), ((IDLE, IDLE), "did not learn"), ((FAILED, IDLE), "diverged or did not learn")],
)
def test_two_runs_without_a_result_are_named_by_how_they_ended_in_the_sentence_and_in_the_cell(ends, words):
    arms = arms_of(**{"0.0005": [*FIVE, *FIVE], "none": [FAILED, FAILED, 41.9, 42.0, 42.1, 41.8]})
    arms["none"] = with_runs(arms["none"], outcome=(*ends, *[run.outcome for run in arms["none"].runs[2:]]))
    one = found(DECAY, decided(DECAY, arms), arms=tuple(arms.values()))
    assert f"2 of 6 runs of none {words}." in why(one) and "cannot be no effect" in why(one)
    assert verdict_words(one).endswith(f"; 2 of 6 runs of none {words}")


def test_a_claim_that_was_decided_early_says_that_its_effect_is_overestimated():
    early = cautions(found(DECAY, of(HIGHER)))
    assert any(sentence.startswith("It was decided at look 1 of 4") for sentence in early)
    assert not any("decided at look" in sentence for sentence in cautions(found(DECAY, of(WIDE))))


def test_pairs_of_two_machines_name_both_and_say_whether_they_agree():
    treated, control = {HERE: [38.0, 42.5], THERE: [41.0, 40.0]}, {HERE: [40.0, 40.1], THERE: [41.1, 41.0]}
    arms = {"0.0005": arm_of("0.0005", control), "none": arm_of("none", treated)}
    judged = judge(DECAY.rule, case_of(DECAY, arms, machines=(HERE, THERE)))
    sentences = why(found(DECAY, decide(judged, lambda p: p)))
    assert (
        "The pairs are from several machines, here and there; there are too few pairs to test whether they agree." in sentences
    )
    treated = {machine: [*runs, 40.5] for machine, runs in treated.items()}
    control = {machine: [*runs, 40.2, 40.1, 40.0][: 5 if machine == HERE else 3] for machine, runs in control.items()}
    arms = {"0.0005": arm_of("0.0005", control), "none": arm_of("none", treated)}
    verdict = decided(DECAY, arms, machines=(HERE, THERE))
    assert verdict.looks_taken == 2
    assert "The pairs are from several machines, here and there; test of whether they agree: p = " in why(found(DECAY, verdict))


def test_an_arm_with_the_controls_weights_is_told_to_have_changed_nothing():
    arms = [arm_of("0.0005", FIVE, weights=tuple("abcde")), arm_of("none", HIGHER, weights=tuple("abc"))]
    sentences = why(found(DECAY, decided(DECAY, {arm.label: arm for arm in arms})))
    assert "it changed nothing, and is no evidence" in sentences


# ---- Cells -----------------------------------------------------------------------------------------------------------


def test_a_verdict_that_is_not_reached_beside_all_other_claims_is_undecided_and_says_so():
    verdict = of(HIGHER, holm=lambda p: 1.0)
    assert verdict_words(found(DECAY, verdict)) == "undecided among all claims (supported alone)"


def test_a_proxy_says_that_it_earns_no_size():
    assert verdict_words(found(DECAY, of(HIGHER, native=False), "proxy")) == "supported, size not judged (proxy)"
    sized = decided(NORM, arms_of(**{NORM.rule.control: FIVE, NORM.rule.treated: [41.4, 41.5, 41.35]}))
    assert verdict_words(found(NORM, sized)) == "supported, size consistent"


def test_after_the_last_look_a_claim_is_undecided_finally():
    treated = [38.0, 42.5] * 6
    verdict = of(treated, [40.0, 40.1] * 10)
    assert verdict_words(found(DECAY, verdict)) == "undecided, finally"
    assert more_seeds_words(found(DECAY, verdict)) == "none: the last look is taken"
    assert "The last look is taken, so it stays open; a new question needs new seeds." in why(found(DECAY, verdict))


def test_stand_in_data_are_no_evidence():
    assert (
        verdict_words(found(DECAY, of(HIGHER), "machinery")) == "supported (stand-in data: shows the machinery, is no evidence)"
    )
