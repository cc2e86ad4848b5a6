"""study/questions/own_rates.py: any claim asked again with each arm at its own best learning rate."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from helpers import made_up_result, write_tuned
from made_up_images import image_set, random_pixels
from matplotlib.text import Text

from alexnet.data.batches import Feed
from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.recipe import changed, differences
from study.judge.evidence import find
from study.plan.claim_files import all_claims, get_claim
from study.plan.plan import make_plan, tuned_recipe
from study.plan.trials import Search, trials_of
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.questions.own_rates import RATE, SUFFIX
from study.questions.scales import trained_long_enough
from study.record import tables
from study.report.figures.rates import rates
from study.run import search as search_module
from study.run.one_run import Place
from study.run.search import search_arm

pytestmark = pytest.mark.filterwarnings("error")
CLAIMS = all_claims()
COMPARED = [name for name, claim in CLAIMS.items() if claim.rule.treated_arms and not claim.tune]
NAME, BASE = f"weight_decay{SUFFIX}", "ALEXNET_32"
IMAGES = {"shapes": 8_000, "cifar10-jpeg-2500": 2_500}
PLACE = Place(Machine(device="cpu", name="test", precision="fp32", threads=1), Path("data"), Path("spool"))


@pytest.mark.parametrize("name", COMPARED)
def test_every_claim_that_compares_arms_can_be_asked_at_their_own_rates_of_which_the_controls_is_one(name):
    claim, own = CLAIMS[name], get_claim(name + SUFFIX)
    (rates,) = own.tune.values()
    assert {base.optim.learning_rate for base in claim.bases.values()} <= set(rates)
    assert (own.arms, own.rule, own.measure, own.scales) == (claim.arms, claim.rule, claim.measure, claim.scales)
    assert name + SUFFIX not in CLAIMS  # in no family


@pytest.mark.parametrize("name", [name for name in CLAIMS if name not in COMPARED])
def test_a_claim_that_searches_already_or_compares_no_arms_is_refused(name):
    with pytest.raises(Refused, match=f"'{name}' (already searches for the learning rate of each arm|compares no arms)"):
        get_claim(name + SUFFIX)


@pytest.mark.parametrize(
    ("name", "scale", "differs"),
    [
        ("weight_decay", "shapes", {"data.validation_images": 800}),  # a tenth of all 8,000
        ("weight_decay", "cifar10-jpeg-2500", {"data.train_images": 5_000, "data.validation_images": 2_500}),
        ("rate_drops", "cifar10-2500", {}),  # which keeps images back itself
    ],
)
def test_each_rate_is_tried_on_three_unjudged_seeds_and_differs_from_the_arm_in_its_validation_images_alone(
    name, scale, differs
):
    claim = get_claim(name + SUFFIX)
    arm = claim.default_arms[-1]
    field, trials = trials_of(Search(Asked(name + SUFFIX, scale, BASE, arm), "0"))
    assert (field, set(trials)) == (RATE, set(claim.tune[RATE]))
    for rate, planned_runs in trials.items():
        assert [planned.seed for planned in planned_runs] == [1000, 1001, 1002] and JUDGED_SEEDS_BELOW == 1000
        plain = changed(claim.recipe_at(scale, BASE, arm), {RATE: rate})
        for planned in planned_runs:
            assert {field: new for field, (_, new) in differences(planned.recipe, plain).items()} == differs


def test_where_the_scale_leaves_images_out_a_trial_trains_on_the_arms_own_and_is_measured_on_others():
    name, scale = NAME, "cifar10-jpeg-2500"
    trial = trials_of(Search(Asked(name, scale, BASE, "none"), "0"))[1][0.01][0].recipe
    arm = get_claim(name).recipe_at(scale, BASE, "none")
    made_up = image_set(random_pixels(6_000, side=32))
    images = replace(made_up, train_labels=made_up.train_labels % 10)
    tried, plain = Feed(trial, images, 0), Feed(arm, images, 0)
    assert torch.equal(tried.images, plain.images) and len(plain.images) == 2_500
    assert torch.equal(tried.validation[0], images.train_images[2_500:5_000])


def searched(monkeypatch, error_of, place=PLACE) -> tuple[dict, list]:
    """The entry of a search whose runs end at the validation error `error_of(rate, seed)`, None for one that diverges; and how
    many epochs each was let train."""
    trained = []

    def stand_in(planned, place, observe):
        error = error_of(planned.recipe.optim.learning_rate, planned.seed)
        result = made_up_result(planned, crossing=None)
        points = tuple(replace(point, validation_error=error) for point in result.points)
        trained.append(next((n for n, point in enumerate(points, 1) if observe(point)), len(points)))
        return replace(result, points=points, outcome="finished" if error is not None else "diverged")

    monkeypatch.setattr(search_module, "run_planned", stand_in)
    return search_arm(Search(Asked(NAME, "shapes", BASE, "none"), "0"), place, lambda message: None), trained


@pytest.mark.parametrize("best", [0.0025, 0.01, 0.04])
def test_the_rate_with_the_lowest_validation_error_wins_and_each_takes_its_whole_budget(monkeypatch, best):
    entry, trained = searched(monkeypatch, lambda rate, seed: 0.3 + abs(rate - best))
    assert (entry["value"], entry["at_edge"], entry["steps"]) == (best, False, None)
    rates = 5 if best == 0.01 else 6  # the next beyond the edge
    assert trained == [CLAIMS["weight_decay"].bases[BASE].optim.epochs] * rates * 3


def test_a_rate_that_diverges_never_wins_and_where_all_do_there_is_none(monkeypatch):
    assert searched(monkeypatch, lambda rate, seed: None if rate > 0.005 else 0.5 - rate)[0]["value"] == 0.005
    assert searched(monkeypatch, lambda rate, seed: None)[0]["value"] is None


def test_the_mean_over_seeds_decides_and_a_rate_that_diverges_on_one_of_them_never_wins(monkeypatch):
    lucky_once = {0.0025: (0.20, 0.42, 0.42), 0.01: (0.33, 0.33, 0.33), 0.04: (0.10, 0.10, None)}  # means 0.347, 0.33, none
    entry, _ = searched(monkeypatch, lambda rate, seed: lucky_once.get(rate, (0.5,) * 3)[seed - 1000])
    assert entry["value"] == 0.01 and entry["tuning_seeds"] == [1000, 1001, 1002]
    errors = [(t["seed"], t["validation_error"]) for t in entry["trials"] if t["value"] == 0.0025]
    assert errors == [(1000, 0.20), (1001, 0.42), (1002, 0.42)]


def test_where_trials_are_kept_each_rate_has_its_mean_error(monkeypatch, tmp_path):
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    monkeypatch.setenv("OPTUNA_STORAGE", url)
    monkeypatch.chdir(tmp_path)
    searched(monkeypatch, lambda rate, seed: abs(rate - 0.0025) + 0.1 * (seed - 1000), replace(PLACE, spool_dir=tmp_path))
    (kept,) = optuna.get_all_study_summaries(url)
    values = {t.params[RATE]: t.value for t in optuna.load_study(study_name=kept.study_name, storage=url).trials}
    assert values == {rate: pytest.approx(abs(rate - 0.0025) + 0.1) for rate in (0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04)}


def test_a_best_rate_is_that_of_its_own_scale_alone(tmp_path):
    write_tuned(tmp_path, {BASE: {"none": 0.02}}, NAME, "cifar10-jpeg-2500")
    tuned = Tuned.read(tmp_path)
    assert tuned_recipe(Asked(NAME, "cifar10-jpeg-2500", BASE, "none"), tuned).optim.learning_rate == 0.02
    with pytest.raises(Refused, match=f"search {NAME} --base {BASE} --arms none --scale shapes` finds it"):
        tuned_recipe(Asked(NAME, "shapes", BASE, "none"), tuned)


SCALE = "cifar10-jpeg-2500"


def results_of(folder: Path, rates: dict[str, float] | None) -> Path:
    """A folder of results with look 1 of weight_decay; and of the same at its arms' own rates, where there are any."""
    folder.mkdir()
    write_tuned(folder, {BASE: rates} if rates else {}, NAME, SCALE)
    names = ["weight_decay", NAME] if rates else ["weight_decay"]
    planned_runs = [planned for name in names for planned in make_plan(name, SCALE, "0" * 12, Tuned.read(folder), bases=[BASE])]
    runs = []
    for planned in {planned.key: planned for planned in planned_runs}.values():
        error = 0.2 + 0.001 * planned.seed + 0.02 * (planned.arm == "none") + planned.recipe.optim.learning_rate
        made = made_up_result(planned, crossing=None, epochs=2)
        runs.append(replace(made, points=tuple(replace(point, train_error=error) for point in made.points)))
    tables.merge(folder, runs)
    return folder


def test_at_their_own_rates_arms_are_judged_beside_the_claim_which_is_judged_as_before(tmp_path):
    asked = {"weight_decay": CLAIMS["weight_decay"]}
    (alone,) = find(results_of(tmp_path / "before", None), asked).found
    after = find(results_of(tmp_path / "after", {"0.0005": 0.01, "none": 0.02}), asked).found
    found = {one.claim_name: one for one in after}
    beside, own = found["weight_decay"], found[NAME]
    assert (beside.verdict, beside.claims_in_family) == (alone.verdict, alone.claims_in_family)
    assert not own.in_family and own.claims_in_family == alone.claims_in_family + 1
    # The control's best rate is the base's: its runs are shared. The arm's, 0.02 for 0.01, adds a point, as made up above.
    assert own.arm("0.0005").keys == beside.arm("0.0005").keys
    assert own.verdict.effect.estimate - beside.verdict.effect.estimate == pytest.approx(1.0)


def test_after_a_new_search_runs_at_the_earlier_rate_are_no_fault_where_that_is_the_shared_one(tmp_path):
    """They were made for the claim at own rates, whose arm has another rate now; the claim itself asks for the same runs."""
    asked, folder = {"weight_decay": CLAIMS["weight_decay"]}, results_of(tmp_path / "results", {"0.0005": 0.01, "none": 0.01})
    text = (folder / "runs.csv").read_text()
    assert f",{NAME}," in text and ",weight_decay," not in text
    (folder / "digests.json").unlink()  # what follows is changed on purpose
    write_tuned(folder, {BASE: {"0.0005": 0.01, "none": 0.02}}, NAME, SCALE)
    found = {one.claim_name: one for one in find(folder, asked).found}
    arm = found["weight_decay"].arm("none")
    assert arm is not None and len(arm.runs) == text.count(",none,") > 0
    (folder / "runs.csv").write_text(text.replace(",none,", ",0.0005,"))  # that is no other rate but another arm
    with pytest.raises(Refused, match="is that of another recipe"):
        find(folder, asked)


def test_the_picture_of_a_search_shows_the_mean_and_each_run_of_a_rate_and_marks_a_rate_that_diverged(tmp_path):
    asked = {"weight_decay": CLAIMS["weight_decay"]}
    (own,) = (one for one in find(results_of(tmp_path / "all", {"0.0005": 0.01, "none": 0.02}), asked).found if one.claim.tune)
    tried = [(0.005, (0.30, 0.32)), (0.01, (0.3, 0.3)), (0.04, (0.29, None))]
    trials = [
        {"value": rate, "validation_error": error, "epochs": 12, "outcome": "finished" if error else "diverged"}
        for rate, errors in tried
        for error in errors
    ]
    arms = tuple(replace(arm, tuned={**arm.tuned, "trials": trials}) for arm in own.arms)
    above, below = rates([replace(own, arms=arms)]).axes
    means = [[0.005, pytest.approx(31)], [0.01, pytest.approx(30)]]
    runs = [[rate, pytest.approx(100 * error)] for rate, errors in tried for error in errors if error]
    assert [line.get_xydata().tolist() for line in above.lines] == 2 * [means, runs]
    assert [label.get_text() for label in below.get_xticklabels()] == ["0.005", "0.01", "0.04"]
    assert [line.get_xdata().tolist() for line in below.lines] == 2 * [[0.04]]
    assert [label.get_text() for label in below.get_yticklabels()] == ["no value: diverged"]


def test_a_search_of_one_seed_is_hollow_beside_one_of_several_and_the_picture_says_so(tmp_path):
    asked = {"weight_decay": CLAIMS["weight_decay"]}
    (own,) = (one for one in find(results_of(tmp_path / "all", {"0.0005": 0.01, "none": 0.02}), asked).found if one.claim.tune)

    def trials(*errors: float) -> list[dict]:
        facts = {"epochs": 12, "outcome": "finished"}
        return [{"value": rate, "validation_error": error, **facts} for rate in (0.005, 0.01) for error in errors]

    first, second = own.arms
    for errors, is_hollow in (((0.3,), True), ((0.3, 0.32), False)):
        arms = (replace(first, tuned={**first.tuned, "trials": trials(0.3, 0.31, 0.32)}),
                replace(second, tuned={**second.tuned, "trials": trials(*errors)}))  # fmt: skip
        figure = rates([replace(own, arms=arms)])
        faces = [line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() != "."]
        assert [face == "white" for face in faces] == [False, is_hollow]
        words = " ".join(text.get_text() for text in figure.findobj(Text))
        assert ("hollow: one run of one seed a rate" in " ".join(words.split())) is is_hollow


def test_of_few_own_images_no_more_than_a_tenth_is_kept_back():
    base = CLAIMS["validation_error"].bases[BASE]
    assert trained_long_enough(base, 160)["data.validation_images"] == 16
    assert trained_long_enough(base, 50_000)["data.validation_images"] == 1_000
    assert "data.validation_images" not in trained_long_enough(CLAIMS["weight_decay"].bases[BASE], 160)
