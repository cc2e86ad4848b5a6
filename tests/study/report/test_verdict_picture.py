"""study/report/figures/verdicts.py and overview.py: all claims in one picture, drawn from made-up findings."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_arms import MadeUp, arm_of, decided
from made_up_findings import lanes, titles

from study.judge.intervals import Difference, share_of_runs
from study.plan.claim_files import all_claims
from study.report.all_findings import _order
from study.report.drawn import interval_of
from study.report.figures.style import save, style
from study.report.figures.verdicts import ARROW, MARKS, verdict_forest
from study.report.overview import VERDICTS, on_paper_line, outcome_words, section_words, standing

CLAIMS = all_claims()
FIVE = [40.0, 40.1, 40.05, 39.95, 40.02]
HIGHER, WIDE = [42.0, 42.1, 41.95], [38.0, 42.5, 40.0]
RESULTS = Path(__file__).parents[3] / "results"


def found(name: str, treated=HIGHER, data: str = "cifar10", base: str = "ALEXNET_32", **more):
    """A finding on a claim with two arms, or one, as far as the picture needs it."""
    claim = CLAIMS[name]
    arms = {label: arm_of(label, treated) for label in claim.rule.treated_arms} | {
        claim.rule.control: arm_of(claim.rule.control, FIVE)
    }
    facts = {"claim_name": name, "claim": claim, "verdict": decided(claim, arms), "data": data, "base": base}
    facts |= {
        "fingerprint": "f00d",
        "machines": ("here",),
        "role": "proxy",
        "scale": "cifar10",
        "arms": tuple(arms.values()),
        "replicated": (),
    }
    one = MadeUp(**(facts | more))
    one.word = one.verdict.direction
    return one


def never(name: str):
    """The verdict where no run arrived."""
    claim = CLAIMS[name]
    return decided(claim, {arm.label: arm_of(arm.label, [None] * 5) for arm in claim.arms})


def drawn(*findings) -> list:
    """The axes of the picture, drawn."""
    with style():
        return verdict_forest(findings).axes


@pytest.mark.parametrize(
    ("name", "treated", "expected"),
    [
        ("response_norm", [42.0, 42.1, 41.9], lambda effect: (effect / 0.5, 1.4 / 0.5)),  # points over the margin
        ("ten_views", FIVE, lambda effect: (-effect / 0.3, 1.5 / 0.3)),  # below 0 is expected, so it is mirrored
        (
            "dropout_slower",
            [50.0, 52.0, 51.0],
            lambda effect: (math.log(effect) / math.log(1.25), math.log(2) / math.log(1.25)),
        ),
    ],
)
def test_every_claim_is_drawn_in_multiples_of_its_least_effect_that_matters(name, treated, expected):
    one = found(name, treated)
    estimate, lower, upper, paper = on_paper_line(one)
    assert (estimate, paper) == pytest.approx(expected(one.verdict.effect.estimate))
    assert lower <= estimate <= upper


def test_what_is_seen_in_so_many_runs_is_drawn_as_the_share_itself():
    one = SimpleNamespace(claim=CLAIMS["column_colour"], verdict=SimpleNamespace(effect=share_of_runs(1, 4)))
    assert on_paper_line(one)[0] == 0.25 and on_paper_line(one)[3] == 1


def test_each_verdict_has_a_colour_that_is_seen_and_a_mark_of_its_own():
    shapes = {(mark, filled) for _, mark, filled in MARKS.values()}
    assert set(MARKS) == set(VERDICTS) and len(shapes) == len(MARKS)
    for color, _, _ in MARKS.values():  # WCAG asks 3 to 1 of what is drawn
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        assert 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05) >= 3


def test_one_claim_in_two_regimes_is_one_row_with_a_lane_for_each():
    (axis,) = drawn(found("response_norm"), found("response_norm", WIDE, scale="cifar10-jpeg"))
    assert titles(axis) == [CLAIMS["response_norm"].title] and lanes(axis) == ["cifar10", "cifar10-jpeg"]
    heights = [line.get_ydata()[0] for line in axis.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2]
    assert heights == [text.xy[1] for text in axis.texts if text.get_text() in lanes(axis)]


def test_the_same_images_in_two_states_are_told_apart_by_their_fingerprints():
    (axis,) = drawn(found("response_norm"), found("response_norm", WIDE, fingerprint="beef"))
    assert lanes(axis) == ["f00d", "beef"]


def test_the_paper_is_told_once_in_a_row():
    (axis,) = drawn(found("response_norm"), found("response_norm", WIDE, scale="cifar10-jpeg"))
    assert [text.get_text() for text in axis.texts].count("+1.4") == 1


def test_runs_of_both_arms_that_never_arrived_are_no_ratio_in_the_column():
    (axis,) = drawn(found("dropout_slower", [None, None, None], verdict=never("dropout_slower")))
    assert [text.get_text() for text in axis.texts].count("no ratio") == 1


def test_of_runs_that_never_arrived_only_the_papers_number_is_drawn():
    one = found("dropout_slower", [None, None, None], verdict=never("dropout_slower"))
    (axis,) = drawn(one)
    marks = [line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1]
    assert marks == [pytest.approx(math.log(2) / math.log(1.25))]
    assert not [line for line in axis.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2]  # no interval
    bar = interval_of(one)
    assert (bar["middle"], bar["lower"], bar["upper"]) == (None, None, None) and bar["paper"] is not None
    assert _order(one, 0)["here [95%]"] is None


def test_a_row_of_one_regime_says_which_where_the_picture_has_several():
    (axis,) = drawn(
        found("response_norm"), found("response_norm", scale="cifar10-jpeg"), found("overlap_pooling", scale="cifar10-jpeg")
    )
    assert [text.get_text() for text in axis.texts].count("cifar10-jpeg") == 2
    (alone,) = drawn(found("response_norm"), found("overlap_pooling"))
    assert "cifar10" not in {text.get_text() for text in alone.texts}


def test_the_heads_of_the_columns_say_what_stands_below_them():
    colour = found("column_colour", verdict=SimpleNamespace(effect=share_of_runs(1, 4), direction="undecided", alone=None))
    colour.verdict.contrasts = {}
    colour.verdict.look = SimpleNamespace(machines=(), seeds=0)
    effects, shares = drawn(found("response_norm"), colour)
    for axis, unit in ((effects, "points or x"), (shares, "runs")):
        assert {f"paper,\n{unit}", f"here [95%],\n{unit}", "n"} <= {text.get_text() for text in axis.texts}


def test_a_number_that_the_effect_is_over_is_a_tick_with_an_arrow_behind_our_mark():
    (axis,) = drawn(found("colour_noise"))
    ours = next(line for line in axis.lines if line.get_marker() in ("o", "D", "v", "s"))
    (paper,) = (line for line in axis.lines if line.get_marker() is ARROW)
    assert paper.get_xdata()[0] == pytest.approx(1 / 0.5) and paper.get_zorder() < ours.get_zorder()
    assert not any(line.get_marker() is ARROW for line in drawn(found("response_norm"))[0].lines)


def test_rows_stand_below_the_headings_of_the_papers_sections_in_its_order_whatever_the_order_they_came_in():
    (axis,) = drawn(*map(found, ("dropout_error", "response_norm", "overlap_pooling", "dropout_overfits")))
    order = [
        "3.3 Local response normalization",
        CLAIMS["response_norm"].title,
        "3.4 Overlapping pooling",
        CLAIMS["overlap_pooling"].title,
        "4.2 Dropout",
        CLAIMS["dropout_error"].title,
        CLAIMS["dropout_overfits"].title,
    ]
    texts = [text.get_text().replace("\n", " ") for text in sorted(axis.texts, key=lambda text: text.xy[1])]
    assert [text for text in texts if text in order] == order
    assert section_words(found("fidelity")) == "not in the paper"


def test_an_interval_beyond_the_axis_ends_in_an_arrow_there():
    (axis,) = drawn(found("response_norm", [90.0, 91.0, 92.0]))
    arrows = [line for line in axis.lines if line.get_marker() == ">"]
    assert [line.get_xdata()[0] for line in arrows] == [axis.get_xlim()[1]]


def test_the_picture_of_no_finding_and_of_one_that_is_not_judged_yet_is_drawn():
    assert drawn() == [] and drawn(found("response_norm", [42.0])) == []
    assert outcome_words([found("response_norm", [42.0])]) == "1 finding: 1 incomplete."


def test_a_claim_that_other_claims_leave_open_stands_as_decided_alone():
    claim, arms = CLAIMS["response_norm"], {"none": arm_of("none", [41.0, 41.2, 40.9]), "2012": arm_of("2012", FIVE)}
    one = found("response_norm", verdict=decided(claim, arms, holm=lambda p: 1.0))
    assert standing(one) == "supported alone" and "1 supported alone" in outcome_words([one])


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_it_is_small_and_its_bytes_are_the_same_each_time(kind, tmp_path):
    written = []
    for name in ("one", "other"):
        with style():
            written.append(save(verdict_forest([found("response_norm")]), tmp_path / f"{name}.{kind}", 64).read_bytes())
    assert written[0] == written[1]
    assert (RESULTS / "figures" / f"verdicts.{kind}").stat().st_size < 250_000


def test_a_finding_that_was_run_again_has_a_second_lane_with_its_own_interval_number_and_mark():
    effect = Difference(
        estimate=0.2, lower=-0.3, upper=0.7, level=0.95, n_treated=10, n_control=10, sd=0.5, standard_error=0.2,
        degrees_of_freedom=9, blocks=10,
    )  # fmt: skip
    again = SimpleNamespace(effect=effect, outcome="not confirmed")
    figure_axis = drawn(found("response_norm", replicated=(again,)))[0]
    texts = [text.get_text() for text in figure_axis.texts]
    assert "+0.20 [-0.30, 0.70]" in texts and "10" in texts and any("fresh seeds" in text for text in texts)
    bars = [line.get_xdata() for line in figure_axis.lines if len(line.get_xdata()) == 2]
    margin = CLAIMS["response_norm"].rule.no_effect_within
    assert any(np.allclose(bar, [-0.3 / margin, 0.7 / margin]) for bar in bars)
    words = [text.get_text() for legend in figure_axis.figure.legends for text in legend.get_texts()]
    assert "fresh seeds: not confirmed" in words
    plain = [text.get_text() for text in drawn(found("response_norm"))[0].texts]
    assert not any("fresh seeds" in text for text in plain)
