"""The plan of every claim as it comes: on a GPU, which has time for every arm, as on a CPU."""

import argparse
import itertools
from types import SimpleNamespace

import pytest

from alexnet.machine import Machine
from study.cli import plan as plan_verb
from study.cli import planning
from study.cli.main import main, parser
from study.cli.selection import ClaimAtScale
from study.plan.claim_files import all_claims, get_scale
from study.plan.cost import Cost
from study.plan.plan import pick_arms, pick_bases
from study.plan.trials import Search
from study.plan.tuned import Tuned
from study.questions.asked import Asked

ON = {
    "cuda": Machine(device="cuda", name="a card", precision="bf16", threads=1, jobs=1),
    "cpu": Machine(device="cpu", name="a computer", precision="fp32", threads=1, jobs=1),
}
EVERYWHERE = [(name, scale) for name, claim in all_claims().items() for scale in claim.fixed_scales]


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """planned(device, claim, scale, arms): the planned runs, by the rates that come with the package; no image is loaded."""
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(
        planning, "load_known", lambda name, may_download: SimpleNamespace(fingerprint="f" * 12, test_labels=range(24))
    )
    monkeypatch.setattr(planning, "check_can_be_trained", lambda *_: None)

    def made(device: str, claim: str, scale: str, *arms: str):
        args = argparse.Namespace(verb="plan", claims=[claim], scale=scale, base=[], arms=list(arms), seeds=1, jobs=1)
        plans, _ = planning.plans_of(args, ON[device])
        return plans[0].planned_runs

    return made


@pytest.mark.parametrize(("name", "scale"), EVERYWHERE)
def test_a_gpu_plans_each_claim_with_every_arm_that_it_has_a_rate_for(planned, name, scale):
    claim, tuned = all_claims()[name], Tuned.committed()
    planned_runs = planned("cuda", name, scale)
    for base in {planned.base for planned in planned_runs}:
        arms = {arm.label for arm in claim.arms if not claim.tune or tuned.entry(Asked(name, scale, base, arm.label))}
        assert {planned.arm for planned in planned_runs if planned.base == base} == arms >= set(claim.default_arms)


def test_a_gpu_plans_the_arms_that_are_named_and_no_others(planned):
    assert {planned.arm for planned in planned("cuda", "relu_sooner", "smoke", "tanh")} == {"tanh"}


def test_a_cpu_plans_the_default_arms(planned):
    assert {planned.arm for planned in planned("cpu", "relu_sooner", "smoke")} == {"relu", "tanh"}


# ---- The search that a plan needs first ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing",
    [
        [("B-today", "sigmoid"), ("C-2012", "sigmoid")],
        [("A-2012", "relu")],
        [("A-2012", "relu"), ("A-2012", "sigmoid"), ("B-today", "sigmoid")],
    ],
)
def test_the_searches_that_are_suggested_are_those_that_are_missing_and_no_others(missing):
    claim = all_claims()["relu_sooner"]
    searches = [Search(Asked("relu_sooner", "shapes", base, arm), "0") for base, arm in missing]
    made = []
    for words in plan_verb.search_words(searches):
        args = parser().parse_args(words)
        assert (args.claims, args.scale) == (["relu_sooner"], "shapes")
        bases, arms = pick_bases(claim, get_scale(claim, args.scale), args.base), pick_arms(claim, args.arms)
        made += itertools.product(bases, arms)
    assert sorted(made) == sorted(missing)


def test_a_plan_prints_the_search_with_its_bases(monkeypatch, tmp_path, capsys, small_shapes):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "relu_sooner", "--scale", "smoke", "--base", "B-today,C-2012", "--arms", "sigmoid"]) == 0
    command = (
        "study search relu_sooner --scale smoke --base C-2012,B-today --arms sigmoid` runs it; then `plan` shows the runs."
    )
    assert capsys.readouterr().out.splitlines()[-1].endswith(command)


# ---- What a plan prints --------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(planned, monkeypatch, capsys):
    """shown(line): the lines that `plan` prints."""

    def cost(planned_runs) -> Cost:
        return Cost(1.0, "", f"{len(planned_runs)} runs in a moment.")

    monkeypatch.setattr(plan_verb, "pace_of", lambda machine: SimpleNamespace(cost=cost))
    monkeypatch.setattr(planning, "pace_of", lambda machine: SimpleNamespace(cost=cost))

    def lines(line: str) -> list[str]:
        assert main(["plan", *line.split(), "--device", "cpu"]) == 0
        return capsys.readouterr().out.splitlines()

    return lines


def test_a_plan_of_several_claims_has_a_line_for_each_and_their_scale_and_machine_once(shown):
    lines = shown("depth bias_init weight_decay --scale shapes")
    assert len(lines) == 2 + 3 + 2
    assert lines[0].startswith("Scale shapes: ") and lines[1].startswith("Machine: ")
    assert [line.split(": ")[0] for line in lines[2:5]] == ["  depth", "  bias_init", "  weight_decay"]
    assert all(line.endswith(" runs in a moment.") for line in lines[2:5])
    assert lines[5].endswith("study plan CLAIM --scale shapes` shows the arms and the margin of a claim.")
    assert lines[6].startswith("All together")


@pytest.mark.parametrize("line", ["depth --scale shapes", "depth bias_init --scale shapes --arms all"])
def test_a_plan_of_one_claim_or_of_named_arms_lists_them(shown, line):
    lines = shown(line)
    assert any(line.startswith("  ALEXNET_32") and "learning rate" in line for line in lines)
    assert any(line.startswith("  margin on ") for line in lines)


@pytest.mark.parametrize(("test_images", "is_too_few"), [(24, True), (199, True), (200, False), (0, False)])
def test_own_images_of_which_one_is_worth_more_than_the_margin_cannot_show_no_effect(
    tmp_path, monkeypatch, test_images, is_too_few
):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    asked = ClaimAtScale("depth", all_claims()["depth"], "own-pets-32px-3classes-96images", "as asked")
    (line,) = plan_verb.margin_lines(asked, ["ALEXNET_32"], (), test_images)
    assert ("seeds of each arm" in line) is not is_too_few
    if test_images == 24:
        told = 'one image is 4.2 points and the margin is 0.5, so this set cannot show "no effect"'
        assert line == f"24 test images: {told}"


def test_the_number_of_test_images_means_nothing_to_training_errors_and_to_the_studys_own_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    for name, scale in (("weight_decay", "own-pets-32px-3classes-96images"), ("depth", "shapes")):
        (line,) = plan_verb.margin_lines(ClaimAtScale(name, all_claims()[name], scale, ""), ["ALEXNET_32"], (), 24)
        assert line.startswith("margin")


def test_own_images_are_told_as_they_are_and_other_scales_with_why_they_were_chosen():
    claim, why = all_claims()["depth"], "24 test images"
    own = ClaimAtScale("depth", claim, "own-pets-32px-3classes-96images", why).headline(ON["cpu"], "f00d")
    assert "(fingerprint f00d). 24 test images.\n" in own
    assert "(fingerprint f00d). Chosen: as asked.\n" in ClaimAtScale("depth", claim, "shapes", "as asked").headline(
        ON["cpu"], "f00d"
    )
