"""study/report/drawn.py: what the web page draws itself, of runs made up here."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_arms import arm_of, decided
from made_up_findings import MANY
from scipy import stats

from study.judge.intervals import Difference
from study.plan.claim_files import all_claims
from study.report import drawn
from study.report.designs import arm_name
from study.report.drawn import BAR_WIDTH, LEFT, LETTERS, LINE, RIGHT, WIDTH, curves_of, interval_of, points_of
from study.report.figures.style import PALETTE, width_in_points

CLAIMS = all_claims()
TIMES = CLAIMS["dropout_slower"]
NORM = CLAIMS["response_norm"]
CONTROL = [38.7, 41.0, 40.1, 39.6, 40.4]


def shown(claim, *arms) -> dict:
    facts = {"claim": claim, "claim_name": "a_claim", "base": "ALEXNET_32", "arms": arms}
    return points_of(SimpleNamespace(**facts))


def with_recipes(claim, **runs):
    """Arms of a claim with the recipes that they have there."""
    return [arm_of(label, values, recipe=claim.recipe("ALEXNET_32", label), tuned={}) for label, values in runs.items()]


def values_of(picture: dict, *places: float) -> list[float]:
    """What stands at these places, by the ticks of the picture."""
    xs, values = zip(*((tick["x"], float(tick["text"])) for tick in picture["ticks"]), strict=True)
    return np.polyval(np.polyfit(xs, values, 1), places).tolist()


def test_an_interval_wider_than_the_points_is_drawn_whole():
    """Three runs of two_columns' arm one-whole-signal-kept: their interval reaches further than any point of the picture."""
    few = [39.22, 38.20, 38.87]
    picture = shown(NORM, *with_recipes(NORM, **{"2012": CONTROL, "none": few}))
    low, high = stats.t.interval(0.95, 2, np.mean(few), stats.sem(few))
    mean = picture["arms"][1]["mean"]
    assert low < min(few + CONTROL)
    assert values_of(picture, mean["low"], mean["high"]) == pytest.approx([low, high], abs=0.05)
    assert not (picture["is_cut"] or mean["is_cut_below"] or mean["is_cut_above"])


def test_runs_without_a_value_are_beside_the_axis_and_the_caption_counts_them():
    claim = CLAIMS["column_colour"]
    picture = shown(claim, arm_of("2012", [1.0, None, 3.0, None], recipe=claim.recipe("ALEXNET_32", "2012"), tuned={}))
    beside = [point for point in picture["arms"][0]["points"] if not point["there"]]
    assert [point["x"] for point in beside] == [picture["gone"]] * 2 and picture["gone"] > picture["ticks"][-1]["x"] + 20
    assert picture["gone"] < picture["width"] and all("not measured" in point["text"] for point in beside)
    assert picture["hollow"] == "Hollow, beside the axis: a run that was not measured (2 of 4)"


def test_a_run_that_never_arrived_is_at_its_last_epoch_and_the_caption_says_so():
    picture = shown(TIMES, *with_recipes(TIMES, none=[8.0, 9.0], dropout=[10.0, None]))
    late = picture["arms"][1]["points"][1]
    assert values_of(picture, late["x"])[0] == pytest.approx(TIMES.recipe("ALEXNET_32", "dropout").optim.epochs, abs=0.3)
    assert picture["gone"] is None and picture["hollow"].endswith("had not arrived by then (1 of 4)")


def test_without_a_run_that_lacks_a_value_no_hollow_point_is_explained():
    picture = shown(NORM, *with_recipes(NORM, **{"2012": CONTROL, "none": CONTROL}))
    assert picture["hollow"] == "" and picture["gone"] is None


def test_an_interval_far_beyond_the_points_ends_at_the_edge_and_is_marked_as_cut():
    two = [39.5, 40.5]  # by the t interval of two runs 6.4 points either way
    picture = shown(NORM, *with_recipes(NORM, **{"2012": CONTROL[1:], "none": two}))
    control, mean = (arm["mean"] for arm in picture["arms"])
    assert picture["is_cut"] and mean["is_cut_below"] and mean["is_cut_above"] and not control["is_cut_below"]
    assert (mean["low"], mean["high"]) == (LEFT, WIDTH - RIGHT)
    assert all(LEFT <= point["x"] <= WIDTH - RIGHT for arm in picture["arms"] for point in arm["points"])


def test_the_mean_that_is_drawn_is_that_of_the_table_also_of_times_that_never_came():
    arms = with_recipes(TIMES, none=[8.0, 9.0, 8.5], dropout=[10.0, None, 9.5])
    picture = shown(TIMES, *arms)
    budget = arms[1].budget_epochs
    mean = picture["arms"][1]["mean"]
    match = re.search(r"at least (\S+) \[", mean["text"])
    assert values_of(picture, mean["middle"])[0] == pytest.approx(np.mean([10.0, budget, 9.5]), abs=0.2)
    assert float(match[1]) == pytest.approx(np.mean([10.0, budget, 9.5]), abs=0.1)


def test_the_interval_of_a_mean_that_is_only_a_lower_bound_goes_on_to_the_edge_and_beyond():
    arms = with_recipes(TIMES, none=[8.0, 9.0, 8.5], dropout=[10.0, None, 9.5])
    picture = shown(TIMES, *arms)
    whole, bound = (arm["mean"] for arm in picture["arms"])
    assert "∞)" in bound["text"] and bound["is_cut_above"] and bound["high"] == WIDTH - RIGHT and picture["is_cut"]
    assert "∞" not in whole["text"] and not whole["is_cut_above"] and whole["high"] < WIDTH - RIGHT


@pytest.mark.parametrize(
    ("effect", "points", "middle"),
    [
        ((1.0, 0.5, 1.5), (False, False), True),
        ((6.0, 4.0, 9.0), (False, True), True),  # in units of half a point the axis ends at 14
        ((-20.0, -22.0, -18.0), (True, False), False),
        ((1.0, -np.inf, np.inf), (True, True), True),
    ],
)
def test_what_goes_on_beyond_the_small_picture_of_a_row_is_marked(effect, points, middle):
    arms = {label: arm_of(label, runs) for label, runs in {"2012": CONTROL, "none": [41.0, 41.5, 42.0]}.items()}
    estimate, lower, upper = effect
    verdict = decided(NORM, arms)
    base = vars(verdict.effect) | {"estimate": estimate, "lower": lower, "upper": upper}
    one = SimpleNamespace(
        claim=NORM, word="supported", verdict=SimpleNamespace(effect=Difference(**base), alone=None, direction="supported")
    )
    bar = interval_of(one)
    assert (bar["is_cut_below"], bar["is_cut_above"]) == points
    assert (bar["middle"] is not None) == middle and bar["paper_cut"] == ""
    assert all(0 <= bar[end] <= BAR_WIDTH for end in ("lower", "upper", "paper"))


def test_the_page_has_twelve_colours_for_arms_in_each_of_its_schemes():
    style = (Path(drawn.__file__).parent / "templates" / "page.css").read_text()
    schemes = [dict(re.findall(r"--a(\d+): (#\w+)", part)) for part in re.split(r"@media", style) if "--a0" in part]
    assert len(schemes) == 3 and all(len(set(colours.values())) == len(PALETTE) == 12 for colours in schemes)


def test_arms_that_share_a_colour_have_other_dashes_and_the_first_have_dashes_of_their_own():
    curve, claim = {"epoch": np.array([1.0, 2.0]), "running_error": np.array([0.6, 0.4])}, MANY
    arms = tuple(arm_of(arm.label, [1.0], curve=(curve,)) for arm in claim.arms)
    picture = curves_of(SimpleNamespace(claim=claim, arms=arms))
    looks = [(line["colour"], line["dashes"]) for line in picture["lines"]]
    assert len(set(looks)) == len(arms) > len(PALETTE) and len({dashes for _, dashes in looks[:4]}) == 4
    assert looks == [(name["colour"], name["dashes"]) for name in picture["names"]]


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if len(claim.arms) > 4])
def test_names_of_arms_are_whole_no_two_alike_and_fit_beside_the_points(name):
    claim = CLAIMS[name]
    base = claim.default_bases[0]
    arms = [arm_of(arm.label, [40.0, 41.0], recipe=claim.recipe(base, arm.label), tuned={}) for arm in claim.arms]
    picture = points_of(SimpleNamespace(claim=claim, claim_name=name, base=base, arms=arms))
    names = ["".join(line["text"] for line in arm["name"]) for arm in picture["arms"]]
    assert names == [arm_name(claim, arm.label) for arm in arms] and len(set(names)) == len(arms)
    widths = [width_in_points(line["text"], LETTERS) for arm in picture["arms"] for line in arm["name"]]
    assert max(widths) < picture["left"] - 6
    tops = [line["y"] for arm in picture["arms"] for line in arm["name"]]
    assert tops == sorted(tops) and min(np.diff(tops)) >= LINE


def test_a_name_that_cannot_be_broken_widens_the_picture_and_not_the_room_of_the_points():
    def with_label(label: str) -> dict:
        arms = tuple(replace(arm, label=label) if arm.label == "none" else arm for arm in NORM.arms)
        rule = replace(NORM.rule, treated=label)
        claim = replace(NORM, arms=arms, rule=rule, default_arms=())
        return shown(claim, arm_of(label, [40.0], recipe=claim.recipe("ALEXNET_32", label)))

    short, long = map(with_label, ("x" * 5, "x" * 60))
    assert short["left"] == LEFT and long["left"] > 300
    assert long["right"] - long["left"] == short["right"] - short["left"]
