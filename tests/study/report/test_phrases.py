"""study/report/phrases.py: what the paper says, and numbers, in words."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_up_arms import arm_of, with_runs

from study.counted import counted
from study.judge.intervals import difference_of, ratio_of_logs, share_of_runs
from study.plan.claim_files import all_claims
from study.report.phrases import (
    against_control_words,
    effect_words,
    judged_words,
    mean_words,
    number,
    p_value,
    paper_says,
    reported_words,
    runs_in_brief,
    runs_words,
    without_a_result,
)

CLAIMS = all_claims()


def test_numbers_say_what_they_know():
    assert [number(v) for v in (3.14159, 12.345, 0.5, math.inf, math.nan)] == ["3.14", "12.3", "0.500", "∞", "-"]


def test_a_large_number_is_told_without_powers_of_ten_and_a_small_one_with_them():
    assert [number(v) for v in (999.4, 999.7, 1234.5, 99999, -1234.5)] == ["999", "1000", "1234", "99999", "-1234"]
    assert number(1.2e-5, 2) == "1.2e-05" and number(123.4, 2) == "123"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("response_norm", "+1.4 points"),
        ("colour_noise", "over +1 points"),
        ("depth", "about +2 points"),
        ("relu_sooner", "x6"),
        ("column_crossing", "not said (2012 notes: +1.16 points)"),  # the paper is silent, and the notes are named
        ("weight_decay", "above 0"),
        ("column_colour", "every run"),
        ("interactions", "not said"),
        ("fidelity", "not said"),
    ],
)
def test_what_the_paper_reports_is_told_as_it_gives_it(name, words):
    assert reported_words(CLAIMS[name]) == words


@pytest.mark.parametrize("where", ["my own question", "not in the paper", "in section 3 of another one"])
def test_what_is_not_from_a_section_of_the_paper_is_none_of_its_words(where):
    """A question of one's own has a direction too, which the paper never said."""
    own = replace(CLAIMS["weight_decay"], reported=replace(CLAIMS["weight_decay"].reported, where=where))
    assert (reported_words(own), paper_says(own)) == ("not said", "the paper does not say")


def test_a_number_of_the_notes_is_never_told_as_the_papers():
    """Of every claim whose number the paper does not have."""
    silent = [claim for claim in CLAIMS.values() if claim.reported.in_notes_alone]
    assert silent and all(reported_words(claim).startswith("not said (2012 notes: ") for claim in silent)


def test_of_a_silent_paper_it_is_told_that_it_does_not_say():
    """ "No effect" beside "nothing" would read as if the paper claimed that there is none."""
    texts = {name: paper_says(claim) for name, claim in CLAIMS.items()}
    assert texts["response_norm"] == "the paper says +1.4 points" and texts["fidelity"] == "the paper does not say"
    assert texts["column_crossing"] == "the paper does not say (2012 notes: +1.16 points)"
    assert not any("nothing" in words for words in texts.values())


@pytest.mark.parametrize(
    ("judged", "shown", "words"),
    [
        ((6, 6), (6, 6), "judged"),
        ((6, 6), (14, 14), "judged with n=6 of the runs shown"),
        ((6, 6), (6, 14), "judged with n=6 of the runs shown"),
        ((3, 5), (5, 5), "judged with n=3+5 of the runs shown"),
    ],
)
def test_with_how_many_of_the_runs_shown_it_was_judged_is_told_where_it_was_not_all(judged, shown, words):
    effect = difference_of(1.5, 0.1, 9, 0.95, *judged, 0.2)
    arms = [arm_of(label, [40.0] * count) for label, count in zip(("none", "2012"), shown, strict=True)]
    verdict = SimpleNamespace(effect=effect, treated="none", direction="supported", contrasts={}, look=SimpleNamespace(seeds=0))
    assert judged_words(SimpleNamespace(claim=CLAIMS["response_norm"], arms=arms, verdict=verdict)) == words


def test_of_what_no_look_was_taken_at_nothing_is_called_judged_and_the_runs_that_are_in_are_counted():
    """As of five nets of which one is trained."""
    nothing = difference_of(math.nan, math.nan, math.nan, 0.95, 5, 5, math.nan)
    arms = [SimpleNamespace(label="2012", runs=[0], known=[0.4])]
    verdict = SimpleNamespace(effect=nothing, treated=None, direction="incomplete", contrasts={}, look=SimpleNamespace(seeds=0))
    one = SimpleNamespace(claim=CLAIMS["averaged_nets"], arms=arms, verdict=verdict)
    assert judged_words(one) == "not judged yet" and runs_in_brief(one) == "1"


@pytest.mark.parametrize(
    ("counts", "seeds", "says"),
    [
        ({"2012": 3, "none": 1}, 1, "n=1+3"),  # of seeds that differ: nothing is compared
        ({"2012": 3}, 0, "n=0+3"),
        ({"2012": 3, "none": 3}, 3, "n=3"),
    ],
)
def test_where_nothing_is_compared_the_runs_of_each_arm_are_told_and_no_seeds(counts, seeds, says):
    nothing = difference_of(math.nan, math.nan, math.nan, 0.95, 0, 3, math.nan)
    arms = [SimpleNamespace(label=label, known=[0.4] * count) for label, count in counts.items()]
    verdict = SimpleNamespace(effect=nothing, contrasts={}, look=SimpleNamespace(seeds=seeds))
    assert runs_words(SimpleNamespace(claim=CLAIMS["response_norm"], arms=arms, verdict=verdict)) == says


@pytest.mark.parametrize(("runs", "seeds", "says"), [(12, 9, "n=12/9"), (2, 3, "n=2"), (3, 3, "n=3")])
def test_seeds_are_told_where_they_are_fewer_than_the_runs(runs, seeds, says):
    effect = difference_of(1.0, 0.1, 9.0, 0.95, runs, runs, 0.2)
    verdict = SimpleNamespace(effect=effect, contrasts={}, look=SimpleNamespace(seeds=seeds))
    assert runs_words(SimpleNamespace(claim=CLAIMS["response_norm"], arms=[], verdict=verdict)) == says


def test_effects_are_told_with_their_intervals():
    logs = difference_of(math.log(6), 0.1, 1e9, 0.95, 3, 5, 0.2)
    assert effect_words(ratio_of_logs(logs)) == "x6.00 [4.93, 7.30]"
    assert effect_words(ratio_of_logs(logs, 1)) == "at least x6.00 [4.93, ∞)"
    assert effect_words(ratio_of_logs(logs, 1, 1)) == "no ratio (runs of both arms never arrived)"
    assert effect_words(ratio_of_logs(replace(logs, lower=-math.inf, upper=math.inf))) == "x6.00 (no interval)"
    assert effect_words(difference_of(1.5, 0.1, 1e9, 0.95, 3, 5, 0.2)) == "+1.50 points [1.30, 1.70]"
    assert effect_words(difference_of(1.5, math.nan, math.nan, 0.95, 3, 5, 0.2)) == "+1.50 points (no interval)"
    assert effect_words(share_of_runs(4, 5)) == "4 of 5 runs [0.28, 0.99]"
    assert effect_words(share_of_runs(0, 0)) == "no run yet"


@pytest.mark.parametrize("count, says", [(1, "1 run"), (0, "0 runs"), (11, "11 runs"), (1032, "1,032 runs")])
def test_one_run_is_one_and_all_else_are_many(count, says):
    assert counted(count, "run") == says


def test_runs_are_told_of_the_arm_first_and_then_of_the_control():
    """Whichever has more."""
    effect = difference_of(1.0, 0.1, 9.0, 0.95, 9, 6, 0.2)
    verdict = SimpleNamespace(effect=effect, contrasts={}, look=SimpleNamespace(seeds=6))
    assert runs_words(SimpleNamespace(claim=CLAIMS["response_norm"], arms=[], verdict=verdict)) == "n=9+6"


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ((), "none"),
        (("diverged", "diverged"), "2 of 5 diverged"),
        (("stalled",), "1 of 5 did not learn"),
        (("stalled", "diverged", "stalled"), "1 of 5 diverged, 2 did not learn"),
    ],
)
def test_of_an_arm_it_is_told_how_runs_without_a_result_ended(ends, says):
    arm = arm_of("none", [40.0] * 5)
    arm = with_runs(arm, outcome=(*ends, *[run.outcome for run in arm.runs[len(ends) :]]))
    assert without_a_result(arm, CLAIMS["response_norm"]) == says


def test_a_run_that_finished_and_answers_like_no_network_at_all_did_not_learn():
    arm = arm_of("none", [90.0] * 3, learned_nothing=(True, False, False))
    assert without_a_result(arm, CLAIMS["response_norm"]) == "1 of 3 did not learn"


def test_a_run_that_learned_and_was_not_measured_counts_as_one_without_a_result_but_not_one_that_never_arrived():
    arm = arm_of("2012", [1.0, None, None])
    assert without_a_result(arm, CLAIMS["column_colour"]) == "2 of 3 not measured"
    assert without_a_result(arm_of("none", [5.0, None]), CLAIMS["dropout_slower"]) == "none"


def test_an_arm_without_an_effect_is_called_the_control_where_it_is_that_alone():
    finding = SimpleNamespace(claim=CLAIMS["response_norm"], effects={})
    texts = {label: against_control_words(finding, SimpleNamespace(label=label)) for label in ("2012", "none")}
    assert texts == {"2012": "(control)", "none": "not compared yet"}


@pytest.mark.parametrize(
    ("p", "says"), [(0.04967, "0.0497"), (0.0502, "0.0502"), (0.0123, "0.012"), (0.24, "0.24"), (1.0, "1.0")]
)
def test_a_p_value_near_the_limit_shows_on_which_side_of_it_it_is(p, says):
    assert p_value(p) == says


@pytest.mark.parametrize(("runs", "says"), [([], "-"), ([None], "-"), ([40.0], "40.00 (no interval)")])
def test_a_mean_of_no_run_is_a_dash_and_that_of_one_run_has_no_interval(runs, says):
    assert mean_words(arm_of("none", runs), CLAIMS["response_norm"]) == says
