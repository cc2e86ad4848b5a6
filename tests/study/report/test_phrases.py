"""study/report/phrases.py: sentences of verdicts, for runs made up by hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.judge.decision import Verdict, of_difference, of_ratio, weigh, weigh_every_run
from study.judge.intervals import Times, difference, ratio_of_times
from study.questions.measures import AtEnd, ColumnColour, TimeTo, ViewsGain
from study.questions.rules import DifferenceOfMeans, EveryRun, RatioOfTimes, WithinRuns
from study.report.phrases import sentence

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
times = st.lists(st.none() | st.floats(1, 100), max_size=6).map(lambda values: Times(tuple(values), 100.0))


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and ". " not in text and text[0] == text[0].upper()


@few_examples
@given(times, times, st.booleans())
def test_of_a_ratio_it_is_one_sentence_that_holds_the_interval(treated, control, native):
    rule = RatioOfTimes(treated="tanh", control="relu", no_effect_within=1.1)
    verdict = weigh(lambda level: ratio_of_times(treated, control, level), of_ratio(6.0, 1.1, native))
    told = sentence(rule, TimeTo(0.25), verdict)
    assert is_one_sentence(told)
    if verdict.direction != "incomplete":
        assert f"{verdict.effect.lower:.3g} to {verdict.effect.upper:.3g}" in told


@pytest.mark.parametrize("treated", [[41.4, 41.5, 41.6], [40.0, 40.1, 40.05], [38.0, 43.0, 40.0], [41.0]])
@pytest.mark.parametrize("native", [True, False])
def test_of_a_difference_it_is_one_sentence_with_its_numbers(treated, native):
    rule = DifferenceOfMeans(treated="none", control="norm", expected=1, no_effect_within=0.5)
    verdict = weigh(lambda level: difference(treated, [40.0, 40.1, 40.05], level), of_difference(1.4, 1, 0.5, native))
    verdict = replace(verdict, treated="none")
    told = sentence(rule, AtEnd(), verdict)
    assert is_one_sentence(told)
    if verdict.direction != "incomplete":
        assert f"{verdict.effect.lower:+.2f} to {verdict.effect.upper:+.2f}" in told


def test_of_times_that_never_came_it_says_at_least():
    slow, fast = Times((None, None, None), 100.0), Times((10.0, 11.0, 9.0), 100.0)
    rule = RatioOfTimes(treated="tanh", control="relu", no_effect_within=1.1)
    verdict = weigh(lambda level: ratio_of_times(slow, fast, level), of_ratio(6.0, 1.1, True))
    assert "Tanh took at least 10 times as long as relu" in sentence(rule, TimeTo(0.25), verdict)


@pytest.mark.parametrize("chances", [[], [0.01] * 3, [0.01, 0.9, 0.01], [0.9] * 5])
def test_of_every_run_it_is_one_sentence_with_its_counts(chances):
    told = sentence(EveryRun(control="2012", p=0.05), ColumnColour(), weigh_every_run(chances, 0.05))
    assert is_one_sentence(told)
    assert f"in {sum(c < 0.05 for c in chances)} of {len(chances)} runs of 2012" in told


def test_a_gain_is_told_by_what_is_subtracted_from_what():
    rule = WithinRuns(control="2012", expected=-1, no_effect_within=0.3)
    verdict: Verdict = weigh(
        lambda level: difference([-1.5, -1.6, -1.4], [0, 0, 0], level, paired=True), of_difference(-1.55, -1, 0.3, True)
    )
    assert sentence(rule, ViewsGain(), verdict).startswith("Ten views minus the centre view is -1.50 points")
