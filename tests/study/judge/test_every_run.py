"""study/judge/rules.py: what is to be seen in every run, and what the silence of a run is worth."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_arms import FAILED, arm_of, decided, with_runs
from scipy import stats as scipy_stats

from study.plan.claim_files import all_claims
from study.questions.measures import ColumnColour, Run
from study.questions.measures.column_colour import chroma_shares, column_difference
from study.report.sentences import verdict_sentences

pytestmark = pytest.mark.filterwarnings("error")

COLOUR = all_claims()["column_colour"]


def runs_of(chances, power: float | None = 0.9, values=None, **more):
    """Runs with these chances, each of this power to show what matters."""
    n = len(chances)
    values = values or [None if chance is None else 30.0 for chance in chances]
    more = {"chance": tuple(chances), "power": (power,) * n, "by_chance": (10.8,) * n} | more
    return {"2012": arm_of("2012", values, **more)}


def why(verdict) -> str:
    return verdict_sentences(COLOUR.rule, COLOUR.measure, verdict)


def test_seen_in_every_run_is_supported():
    verdict = decided(COLOUR, runs_of([0.01, 0.05, 0.001, 0.02, 0.04]))  # a chance of exactly p counts
    assert (verdict.direction, verdict.effect.seen, verdict.effect.runs, verdict.size) == ("supported", 5, 5, "not judged")
    assert verdict.look.p_supported == pytest.approx(0.05**5)


@pytest.mark.parametrize("power", [0.37, 0.79, None])
def test_below_a_power_of_four_in_five_no_silence_contradicts(power):
    verdict = decided(COLOUR, runs_of([0.9] * 20, power=power))
    assert verdict.direction == "undecided" and verdict.look.p_contradicted == 1


def test_with_enough_power_too_few_runs_that_show_it_contradict_at_the_binomial_chance():
    verdict = decided(COLOUR, runs_of([0.01, 0.9, 0.9, 0.9, 0.9], power=0.9))
    assert verdict.look.p_contradicted == pytest.approx(2 * scipy_stats.binom.cdf(1, 5, 0.9))
    assert verdict.direction == "contradicted"


def test_one_run_of_five_that_does_not_show_it_is_within_chance():
    verdict = decided(COLOUR, runs_of([0.01] * 4 + [0.9], power=0.9))
    assert verdict.direction == "undecided"
    assert "too little" not in why(verdict) and "within chance" in why(verdict)


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_where_it_is_in_every_run_it_is_contradicted_no_more_often_than_the_first_look_may_err(seen):
    """All ways that five runs of a power of 0.85 can come out, by the binomial formula: the error of the first look is 0.6%."""
    wrong = sum(
        scipy_stats.binom.pmf(k, 5, 0.85)
        for k in range(6)
        if decided(COLOUR, runs_of([0.01] * k + [0.9] * (5 - k), power=0.85)).direction == "contradicted"
    )
    assert wrong <= 0.00625
    assert decided(COLOUR, runs_of([0.01] * seen + [0.9] * (5 - seen), power=0.95)).direction == "contradicted"


def test_a_seed_on_two_machines_counts_once_on_the_one_that_had_it_first():
    """Five runs, but of three seeds: their kernels are alike, so the first look (five) is not there yet."""
    by_machine = {"early": [30.0] * 3, "late": [30.0] * 2}
    arms = {"2012": arm_of("2012", by_machine, {"late": 100, "early": 0}, chance=(0.01, 0.9, 0.9, 0.01, 0.01))}
    verdict = decided(COLOUR, arms, machines=("early", "late"))
    assert (verdict.direction, verdict.effect.seen, verdict.effect.runs) == ("incomplete", 1, 3)
    other = {"2012": arm_of("2012", by_machine, {"early": 100, "late": 0}, chance=(0.01, 0.9, 0.9, 0.9, 0.01))}
    assert (lambda effect: (effect.seen, effect.runs))(decided(COLOUR, other, machines=("late", "early")).effect) == (1, 3)


def test_runs_whose_kernels_were_not_read_yet_are_waited_for():
    verdict = decided(COLOUR, runs_of([0.01, 0.02, None, 0.01, 0.01]))
    assert (verdict.direction, verdict.looks_taken) == ("incomplete", 0)


def test_a_run_that_failed_is_one_that_does_not_show_it():
    arms = runs_of([0.01, 0.01, 0.01, 0.01, None], values=[30.0] * 4 + [FAILED])
    verdict = decided(COLOUR, arms)
    assert (verdict.effect.seen, verdict.effect.runs) == (4, 5) and verdict.direction == "undecided"
    assert verdict.look.failures[0].failed == 1


def test_every_run_is_judged_at_the_chance_that_the_rule_names():
    arms = runs_of([0.04, 0.03, 0.045, 0.02, 0.03])
    strict = replace(COLOUR, rule=replace(COLOUR.rule, p=0.01))
    assert (decided(COLOUR, arms).direction, decided(strict, arms).direction) == ("supported", "contradicted")


def test_what_chance_alone_would_give_is_told_beside_the_mean():
    verdict = decided(COLOUR, runs_of([0.9] * 5, power=0.37))
    assert (verdict.look.mean_value, verdict.look.by_chance) == (30.0, pytest.approx(10.8))
    assert "The mean value is 30.0 points; chance alone would give 10.8." in why(verdict)
    assert "a probability of 37%: too little" in why(verdict)


def test_the_mean_beside_the_share_is_that_of_the_runs_that_learned():
    arms = runs_of([0.9] * 5, values=[30.0] * 4 + [80.0])
    arms["2012"] = with_runs(arms["2012"], learned_nothing=[False] * 4 + [True])
    assert decided(COLOUR, arms).look.mean_value == 30.0


def test_a_power_that_nobody_knows_is_not_told_as_a_number():
    assert "nan" not in why(decided(COLOUR, runs_of([0.9] * 5, power=None)))


# ---- The power of a run ----------------------------------------------------------------------------------------------


def kernels_of(shares: np.ndarray) -> list:
    """Kernels of one pixel with these shares of their energy off the grey axis."""
    grey, colour = np.sqrt((1 - shares) / 3), np.sqrt(shares / 2)
    return np.stack([grey + colour, grey - colour, grey], axis=1)[:, :, None, None].tolist()


def test_kernels_made_for_a_share_have_it():
    shares = np.array([0.0, 0.2, 0.7, 1.0])
    assert chroma_shares(kernels_of(shares)) == pytest.approx(shares)


@pytest.mark.slow
@pytest.mark.parametrize("difference", [10.0, 20.0])
def test_the_power_of_a_run_is_the_share_of_simulated_runs_that_show_a_true_difference(difference):
    """Kernels dealt to the columns at random, then one column shifted: how many of 60 are seen at p. Two standard errors of a
    share are up to 13%; the formula takes the spread as normal."""
    rng = np.random.default_rng(int(difference))
    kept, seen = 0.15 + 0.4 * rng.beta(0.8, 0.8, 96), 0
    for _ in range(60):
        dealt = rng.permutation(kept)
        dealt[:48] += difference / 100
        seen += column_difference(kernels_of(dealt))[1] <= 0.05
    run = Run(outcome="finished", from_weights={"kernels": kernels_of(kept)})
    assert ColumnColour().power(run, difference, 0.05) == pytest.approx(seen / 60, abs=0.15)


def test_without_kernels_a_run_has_no_power():
    assert ColumnColour().power(Run(outcome="finished"), 20.0, 0.05) is None
    assert math.isnan(decided(COLOUR, {}).look.power_of_a_run)


def test_runs_that_failed_are_no_evidence_against_it():
    """They show nothing and could not have shown it: the power is that of the runs that learned."""
    arms = runs_of([None] * 4 + [0.9], values=[FAILED] * 4 + [30.0])
    arms["2012"] = with_runs(arms["2012"], power=(None,) * 4 + (0.9,))
    verdict = decided(COLOUR, arms)
    assert verdict.direction == "undecided"
    assert verdict.look.p_contradicted == pytest.approx(2 * scipy_stats.binom.cdf(0, 1, 0.9))
    assert decided(COLOUR, runs_of([None] * 5, values=[FAILED] * 5)).direction == "did not learn"
