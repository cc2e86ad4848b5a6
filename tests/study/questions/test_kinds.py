"""Every measure and every rule is held to the same: a new one is tested by being there."""

from dataclasses import dataclass, replace

import pytest
from made_up_arms import case_of

from alexnet.errors import Refused
from study.judge.decision import decide
from study.judge.rules import judge
from study.plan.claim_files import all_claims
from study.questions.claim import Claim, concrete
from study.questions.designs import AllCombinations
from study.questions.measures import Kind, Measure, Run
from study.questions.rules import Rule
from study.report.figures.draw import of_measure, of_rule
from study.report.phrases import expected_words, measured, terms
from study.report.sentences import sentence, verdict_sentences

CLAIMS = all_claims()
SIGNED = {"control": "control", "expected": 1, "no_effect_within": 0.5}
SETTINGS = {
    "TimeTo": {"level": 0.25},
    "RatioOfTimes": {"control": "control", "treated": "treated", "no_effect_within": 1.25},
    "DifferenceOfMeans": {**SIGNED, "treated": "treated"},
    "Interaction": {**SIGNED, "first": "treated", "second": "other", "both": "treated+other"},
    "WithinRuns": SIGNED,
    "OverImages": SIGNED,
    "Alike": {"control": "control", "within": 0.1},
    "EveryRun": {"control": "control", "matters": 20.0},
    "Factorial": {"control": "on", "design": AllCombinations(("treated", "other")), "no_effect_within": 0.5},
}
"""Valid settings of a measure or rule that has settings without a default."""


def shipped(kind: type) -> list[type]:
    """Those of the package: other tests add some of their own."""
    return [found for found in concrete(kind) if found.__module__.startswith("study.")]


def made(kind: type):
    return kind(**SETTINGS.get(kind.__name__, {}))


def missing(kind: type) -> list[str]:
    """What a class of measure or rule lacks."""
    said = {"unit": "unit", "kind": "kind"} if issubclass(kind, Measure) else {"judges": "kinds of measure"}
    lacks = [words for name, words in said.items() if not hasattr(kind, name)]
    registered = {"words": measured, "picture": of_measure}
    if issubclass(kind, Rule):
        registered = {"words": expected_words, "sentence": sentence, "judge": judge, "picture": of_rule}
    elif getattr(kind, "kind", "") == "gain":
        registered["terms"] = terms
    lacks += [words for words, known in registered.items() if known.dispatch(kind) is known.dispatch(object)]
    try:
        made(kind)
    except (TypeError, Refused) as error:
        lacks.append(f"valid settings in this test ({error})")
    return lacks


@pytest.mark.parametrize("kind", [*shipped(Measure), *shipped(Rule)], ids=lambda kind: kind.__name__)
def test_it_has_all_that_a_question_needs(kind):
    assert not missing(kind)


@pytest.mark.parametrize("kind", [*shipped(Measure), *shipped(Rule)], ids=lambda kind: kind.__name__)
def test_a_claim_of_the_paper_asks_it(kind):
    assert any(isinstance(asked, kind) for claim in CLAIMS.values() for asked in (claim.measure, claim.rule))


@pytest.mark.parametrize("kind", Kind.__args__)
def test_each_kind_of_number_has_a_rule_that_judges_it(kind):
    assert any(kind in rule.judges for rule in shipped(Rule))


READ_OFF = [one for kind in shipped(Measure) if (one := made(kind)).stored_as and one.runs_together == 1]


@pytest.mark.parametrize("measure", READ_OFF, ids=lambda one: type(one).__name__)
def test_a_measure_that_is_read_off_weights_has_no_number_without_them(measure):
    assert measure.value(Run(outcome="finished", test_error=0.3), []) is None


@dataclass(frozen=True)
class Bare(Measure):
    """A measure that says nothing of itself."""

    def value(self, run, curve):
        return 1.0


@dataclass(frozen=True, kw_only=True)
class BareRule(Rule):
    """A rule that nothing was registered for."""


def test_what_is_left_out_is_named():
    assert missing(Bare) == ["unit", "kind", "words", "picture"]
    assert missing(BareRule)[:-1] == ["kinds of measure", "words", "sentence", "judge", "picture"]


def test_a_claim_with_a_measure_that_says_nothing_of_itself_is_refused_by_its_name():
    with pytest.raises(Refused, match=r"claim\.measure: Bare has no unit and no kind"):
        replace(CLAIMS["depth"], measure=Bare())


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda: measured(Bare()), "Bare has no words"),
        (lambda: of_measure(Bare(), None), "Bare has no picture"),
        (lambda: terms(Bare()), "Bare has no terms"),
        (lambda: expected_words(BareRule(control="a")), "BareRule has no words"),
        (lambda: sentence(BareRule(control="a"), Bare(), None), "BareRule has no sentence"),
        (lambda: judge(BareRule(control="a"), None), "nothing judges BareRule"),
        (lambda: of_rule(BareRule(control="a"), {}), "BareRule has no pictures"),
    ],
    ids=["words", "picture", "terms", "expected", "sentence", "judge", "rule's pictures"],
)
def test_what_nobody_registered_is_refused_by_name_and_never_taken_for_another(ask, name):
    with pytest.raises(Refused, match=name):
        ask()


def test_of_a_claim_that_is_not_judged_yet_a_new_rule_need_not_register_a_sentence():
    claim = CLAIMS["depth"]
    verdict = decide(judge(claim.rule, case_of(claim, {})), lambda p: p)
    sentences = verdict_sentences(BareRule(control="a"), Bare(), verdict)
    assert sentences == "Nothing is judged yet: of a there are 0 runs, and 3 more of an arm are needed for the first look."


def test_the_judge_gives_numbers_and_no_texts_but_labels():
    claim: Claim = CLAIMS["depth"]
    verdict = decide(judge(claim.rule, case_of(claim, {})), lambda p: p)
    texts = {name for numbers in (verdict, verdict.look) for name, value in vars(numbers).items() if isinstance(value, str)}
    assert texts == {"direction", "size", "treated", "nothing", "more_seeds_of"}
