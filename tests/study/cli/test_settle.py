"""`settle`: a look at a time, each run once, until every claim is decided. Runs are made up: what trains is a stand-in."""

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from helpers import accepted, made_up_result
from made_up_images import blank_images

from alexnet.machine import Machine
from study.cli import settle_plan, settle_run
from study.cli.main import main
from study.judge.evidence import find
from study.judge.family import family
from study.plan.claim_files import _claim_in, _claim_of, all_claims
from study.plan.cost import Cost
from study.plan.fixed_rules import RULES, fix, write_rule
from study.questions.looks import Looks
from study.questions.scales import SCALES
from study.record import tables
from study.run.result import RESULT, sealed
from study.tracking.keeper import Recorded

CLAIM = '''
"""A question about made-up runs."""
from helpers import SMALL
from alexnet.recipe import changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="{name}", command="settle", reported=Reported(what="error", value=None, where="here"),
    arms=(Arm("control"), Arm("treated", {{"optim.learning_rate": {rate}}})),
    measure=AtEnd("test_error"),
    rule=DifferenceOfMeans(treated="treated", control="control", expected=1, no_effect_within=0.5),
    bases={{"SMALL": changed(SMALL, {{"optim.stop_at_train_error": 0.0}})}}, scales={{"shapes": "proxy"}},
)
'''
RATES = {"large": 0.5, "none": 0.4, "noisy": 0.3}
"""Three claims, each told by the rate of its arm."""
LOOKS = Looks((3, 5, 7), (4, 6, 8))


def error_of(planned) -> float:
    """A percentage that the run's seed and arm decide: a large effect, none at all, and one as large as its noise."""
    rate = planned.recipe.optim.learning_rate
    shared, own = random.Random(planned.seed).gauss(30, 1), random.Random(f"{planned.seed} {rate}")
    effect, noise = {0.5: (8, 0.2), 0.4: (0, 0.05), 0.3: (0.7, 1.5)}.get(rate, (0, 0.05))
    return shared + effect + own.gauss(0, noise)


class FlatPace:
    """Every run takes a minute."""

    def cost(self, planned_runs):
        return Cost(60.0 * len(planned_runs), "made up", f"{len(planned_runs)} runs to train")


class Trainer:
    """In place of training: results made up, straight into the tables. Dies before run number `dies_at`; loses `lose`."""

    def __init__(self):
        self.trained, self.waves, self.planned_runs, self.dies_at, self.lose = [], [], [], None, ()
        self.jobs: set[int] = set()

    def __call__(self, planned_runs, place, results, executor, console, shows_numbers):
        self.waves.append([(planned.claim, planned.arm, planned.seed) for planned in planned_runs])
        self.planned_runs += planned_runs
        self.jobs.add(place.machine.jobs)
        ended = []
        for planned in planned_runs:
            if len(self.trained) == self.dies_at:
                break
            if (planned.arm, planned.seed) not in self.lose:
                self.trained.append(planned.key)
                made = made_up_result(planned, None, steps_per_epoch=1)
                made = replace(made, test_error=error_of(planned) / 100, weights_sha256=4 * planned.key)
                ended.append(replace(made, machine=replace(made.machine, label=place.machine.label)))
        tables.merge(results, ended)
        if len(self.trained) == self.dies_at:
            raise KeyboardInterrupt
        return []


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Three claims, and nothing else: no other claims, no images, no report."""
    monkeypatch.setitem(SCALES, "shapes", replace(SCALES["shapes"], best_role="proxy"))  # else nothing of it is settled
    (tmp_path / "claims").mkdir()
    for name, rate in RATES.items():
        write_claim(tmp_path, name, rate)
    monkeypatch.setattr("study.plan.claim_files.claims.__path__", [str(tmp_path / "no others")])
    for name, value in {"CLAIMS_DIR": "claims", "RESULTS_DIR": "results", "SPOOL_DIR": "spool", "DEVICE": "cpu"}.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name != "DEVICE" else value)
    monkeypatch.setattr(settle_run, "pace_of", lambda machine: FlatPace())
    monkeypatch.setattr(settle_run, "load_known", blank_images)
    monkeypatch.setattr(settle_run, "conclude", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trainer(monkeypatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(settle_run, "train_and_record", made)
    return made


def write_claim(folder: Path, name: str, rate: float, **changes: str) -> None:
    text = CLAIM.format(name=name, rate=rate)
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "claims" / f"{name}.py").write_text(text)
    _claim_of.cache_clear()


def small_looks(folder: Path) -> None:
    """A rule with three looks at few seeds."""
    claims = {name: _claim_in(folder / "claims" / f"{name}.py") for name in RATES}
    (folder / "results").mkdir(exist_ok=True)
    write_rule(folder / "results", fix("shapes", [(name, "SMALL") for name in RATES], claims, looks=LOOKS))


def verdicts(folder: Path) -> dict[str, tuple]:
    found = find(folder / "results").found
    return {one.claim_name: (one.verdict.direction, one.verdict.looks_taken, one.verdict.more_seeds) for one in found}


def seeds_of(folder: Path) -> dict[str, int]:
    """How many runs there are of each claim's treated arm, and of the control."""
    runs = pd.read_csv(folder / "results" / "runs.csv")
    by_claim = runs[runs.arm == "treated"].groupby("claim").size().to_dict()
    return {**by_claim, "control": int((runs.arm == "control").sum())}


def test_a_decided_claim_gets_no_more_runs_and_an_open_one_goes_to_its_last_look(folder, trainer, capsys):
    small_looks(folder)
    assert main(["settle", "--scale", "shapes", "--runs", "100"]) == 0
    found = verdicts(folder)
    assert found["large"][:2] == ("supported", 1) and found["none"][:2] == ("no effect", 1)
    assert found["noisy"] == ("undecided", 3, None)
    looks = {name: look for name, (_, look, _) in found.items()}
    assert seeds_of(folder) == {**{name: LOOKS.arms[look - 1] for name, look in looks.items()}, "control": 8}
    assert len(trainer.trained) == len(set(trainer.trained))
    said = capsys.readouterr().out
    assert "large on SMALL: supported" in said and "noisy on SMALL: undecided, finally" in said


def test_a_wave_is_one_look_of_all_open_claims(folder, trainer):
    small_looks(folder)
    main(["settle", "--scale", "shapes", "--runs", "100"])
    assert len(trainer.waves) == 3
    for wave, arms, first in zip(trainer.waves, LOOKS.arms, LOOKS.first_arm, strict=True):
        assert {seed for _, arm, seed in wave if arm == "treated"} <= set(range(arms))
        assert {seed for _, arm, seed in wave if arm == "control"} <= set(range(first))


@pytest.mark.slow
@pytest.mark.parametrize("deaths", [[0], [7, 0, 1], [13, 1, 1, 2], [2] * 8], ids=str)
def test_killed_at_any_run_the_same_command_ends_as_if_undisturbed(folder, trainer, monkeypatch, deaths, tmp_path_factory):
    small_looks(folder)
    command = ["settle", "--scale", "shapes", "--runs", "100"]
    assert main(command) == 0
    undisturbed = (folder / "results" / "runs.csv").read_text()
    (folder / "results" / "runs.csv").unlink()
    (folder / "results" / "curves.csv").unlink()
    accepted(folder / "results")
    for died_after in deaths:
        trainer.trained.clear()
        trainer.dies_at = died_after
        main(command)
    trainer.dies_at = None
    assert main(command) == 0
    assert (folder / "results" / "runs.csv").read_text() == undisturbed


def test_what_a_kill_kept_from_mlflow_alone_is_recorded_by_the_next_call(folder, trainer, monkeypatch):
    small_looks(folder)
    main(["settle", "large", "--scale", "shapes", "--runs", "100"])
    kept, (lost_to_mlflow, *_) = [], trainer.trained
    planned = next(planned for planned in trainer.planned_runs if planned.key == lost_to_mlflow)
    run_folder = folder / "spool" / planned.key
    run_folder.mkdir(parents=True)
    (run_folder / RESULT).write_bytes(sealed(made_up_result(planned, None)))
    monkeypatch.setattr(settle_run, "record_results", lambda results, *_: kept.extend(one.key for one in results) or Recorded())
    main(["settle", "large", "--scale", "shapes", "--runs", "100"])
    assert kept == [planned.key]


@pytest.mark.parametrize("runs", [3, 10, pytest.param(13, marks=pytest.mark.slow), pytest.param(15, marks=pytest.mark.slow)])
def test_no_more_runs_are_trained_than_allowed_and_what_is_left_out_is_told(folder, trainer, capsys, runs):
    small_looks(folder)
    main(["settle", "--scale", "shapes", "--runs", str(runs)])
    assert len(trainer.trained) <= runs
    left = {name for name, (word, _, more) in verdicts(folder).items() if word in ("undecided", "incomplete") and more}
    said = capsys.readouterr().out
    assert all(f"open: {name} on SMALL, look " in said for name in left)
    assert (runs < 7) == (trainer.trained == [])  # a look is begun whole or not at all


def test_a_look_that_does_not_fit_into_the_hours_is_not_begun(folder, trainer, monkeypatch):
    small_looks(folder)
    clock = SimpleNamespace(monotonic=lambda: 60.0 * len(trainer.trained))
    monkeypatch.setattr(settle_plan, "time", clock)
    main(["settle", "--scale", "shapes", "--hours", str(10.5 / 60)])
    assert len(trainer.trained) == 10  # a minute each: the control and two of the three arms
    assert len(trainer.waves) == 1


def test_lost_runs_are_not_tried_twice_and_stop_no_other_claim(folder, trainer, capsys):
    small_looks(folder)
    trainer.lose = {("treated", 1)}
    assert main(["settle", "--scale", "shapes", "--runs", "100"]) == 1
    asked = [one for wave in trainer.waves for one in wave if one[1:] == ("treated", 1)]
    assert len(asked) == len(set(asked)) == 3
    assert "its runs were lost" in capsys.readouterr().out
    trainer.lose = ()
    assert main(["settle", "--scale", "shapes", "--runs", "100"]) == 0
    assert verdicts(folder)["large"][0] == "supported"


def test_a_plan_trains_and_writes_nothing_and_tells_what_each_claim_needs(folder, trainer, capsys):
    assert main(["settle", "--scale", "shapes", "--plan", "--json"]) == 0
    rows = {row["claim"]: row for row in json.loads(capsys.readouterr().out)}
    assert trainer.trained == [] and not (folder / "results").exists() and not (folder / "spool").exists()
    row = rows["noisy"]
    assert (row["runs_to_next_look"], row["runs_to_last_look"]) == (3 + 5, 12 + 20)
    assert row["unit"] == "core-hours"
    assert row["hours_to_next_look"] == pytest.approx(8 / 60 * 2, abs=0.01)  # a minute each on two cores
    assert row["seeds_of_next_look"] == {"control": 5, "treated": 3} and row["can_end_as"].endswith("undecided")


def test_on_a_gpu_as_many_runs_at_a_time_are_trained_as_pay(folder, trainer, monkeypatch):
    gpu = Machine(device="cuda", name="a GPU", precision="bf16", threads=8)
    monkeypatch.setattr(settle_run, "machine_of", lambda args: gpu)
    monkeypatch.setattr(settle_run, "check_can_be_trained", lambda *_: None)
    monkeypatch.setattr("study.run.at_once.jobs_that_pay", lambda planned_runs, machine: (5, ""))
    assert main(["settle", "--scale", "shapes", "--runs", "8"]) == 0
    assert trainer.trained and trainer.jobs == {5}


def test_on_a_gpu_its_hours_are_told_and_not_those_of_cores(folder, trainer, monkeypatch, capsys):
    gpu = Machine(device="cuda", name="a GPU", precision="bf16", threads=8)
    monkeypatch.setattr(settle_run, "machine_of", lambda args: gpu)
    monkeypatch.setattr(settle_run, "check_can_be_trained", lambda *_: None)
    assert main(["settle", "--scale", "shapes", "--runs", "3", "--jobs", "1"]) == 0  # no look is begun with so few
    printed = capsys.readouterr().out
    assert "look 1 needs 8 more runs (0.1 GPU-hours)" in printed and "core-h" not in printed
    assert main(["settle", "--scale", "shapes", "--plan", "--json", "--jobs", "1"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["unit"] for row in rows} == {"GPU-hours"} and rows[0]["hours_to_next_look"] == round(8 / 60, 2)


def test_the_first_call_fixes_the_rule_and_says_so(folder, trainer, capsys):
    main(["settle", "--scale", "shapes", "--runs", "1"])
    assert "commit it before its first run" in capsys.readouterr().out
    rule = RULES.read(folder / "results").of("shapes")
    assert sorted(rule.members) == [(name, "SMALL") for name in sorted(RATES)] and rule.first_seed == 0
    main(["settle", "--scale", "shapes", "--runs", "1"])
    assert "fixed the rule" not in capsys.readouterr().out


def test_a_margin_changed_after_the_first_run_is_refused_and_a_new_rule_takes_fresh_seeds(folder, trainer, capsys):
    small_looks(folder)
    main(["settle", "large", "--scale", "shapes", "--runs", "100"])
    write_claim(folder, "large", RATES["large"], **{"no_effect_within=0.5": "no_effect_within=0.3"})
    capsys.readouterr()
    assert main(["settle", "--scale", "shapes", "--runs", "100"]) == 2
    assert "the margin of large was fixed at 0.5 on " in capsys.readouterr().err
    before = set(trainer.trained)
    assert main(["settle", "--scale", "shapes", "--new-rule"]) == 0
    assert RULES.read(folder / "results").of("shapes").first_seed == 10
    assert set(trainer.trained) == before
    main(["settle", "large", "--scale", "shapes", "--new-rule"])  # again: no run was judged by it
    assert [rule.first_seed for rule in RULES.read(folder / "results").rules["shapes"]] == [0, 10]
    trainer.waves.clear()
    assert main(["settle", "large", "--scale", "shapes", "--runs", "100"]) == 0
    assert min(seed for wave in trainer.waves for *_, seed in wave) == 10
    assert verdicts(folder)["large"][0] == "supported"


def test_a_new_rule_has_the_looks_that_were_asked_for_and_five_seeds_of_the_first_arm_for_three(folder, trainer):
    assert main(["settle", "--scale", "shapes", "--new-rule", "--looks", "6,12,18,25"]) == 0
    assert RULES.read(folder / "results").of("shapes").looks == Looks((6, 12, 18, 25), (10, 20, 30, 42))


def test_a_margin_changed_before_the_first_run_is_fixed_anew(folder, trainer):
    small_looks(folder)
    write_claim(folder, "large", RATES["large"], **{"no_effect_within=0.5": "no_effect_within=0.3"})
    assert main(["settle", "--scale", "shapes", "--runs", "1"]) == 0
    (rule,) = RULES.read(folder / "results").rules["shapes"]
    assert rule.family["large"]["SMALL"]["margin"] == 0.3 and rule.looks == LOOKS


def test_a_claim_that_is_new_since_the_rule_is_judged_as_one_more(folder, trainer):
    small_looks(folder)
    main(["settle", "large", "--scale", "shapes", "--runs", "100"])
    write_claim(folder, "later", 0.6)
    assert main(["settle", "later", "--scale", "shapes", "--runs", "100"]) == 0
    one = next(one for one in find(folder / "results").found if one.claim_name == "later")
    assert not one.in_family and one.claims_in_family == 4


def test_a_claim_without_a_tuned_rate_is_named_and_left_out(folder, trainer, capsys):
    write_claim(folder, "noisy", 0.3, **{"bases=": 'tune={"optim.momentum": (0.8, 0.9)}, bases='})
    small_looks(folder)
    assert main(["settle", "--scale", "shapes", "--runs", "100"]) == 0
    assert "left out: noisy on SMALL, tuned.json: no optim.momentum" in capsys.readouterr().out
    assert set(verdicts(folder)) == {"large", "none"}


@pytest.mark.parametrize(
    "line, message",
    [
        ("settle", "settle: give it --hours or --runs"),
        ("settle --hours 0", "--hours: '0' is not a number of hours above 0"),
        ("settle --hours soon", "--hours: 'soon'"),
        ("settle --runs 0", "--runs: 0 is less than 1"),
        ("settle --looks 2,4 --runs 3", "--looks: those of a scale's rule are fixed"),
        ("settle --new-rule --looks 2,two", "--looks: '2,two' are not whole numbers of seeds"),
        ("settle --new-rule --looks 6,6", "--looks: '6,6' are not growing numbers of seeds"),
        ("settle --new-rule --looks 601", "--new-rule: needs 1002 seeds from 0 on, but judged seeds are below 1000"),
        ("settle --new-rule --runs 3", "--new-rule: it fixes a rule and trains nothing"),
        ("settle lagre --runs 3", "claim: 'lagre' is not one of large, noisy, none; did you mean large"),
        ("settle --runs 3 --scale cifar10", "claim: no claim has scale 'cifar10'"),
        ("settle --runs 3 --base SMAL", "BASE: 'SMAL' is not one of SMALL; did you mean SMALL?"),
        ("settle large --runs 3 --base SMAL", "BASE: 'SMAL' is not one of SMALL; did you mean SMALL?"),
        ("settle large --runs 3 --base SMALL,B-*", "BASE: 'B-*' is not one of SMALL"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_one_line(folder, trainer, capsys, line, message):
    assert main([*line.split(), *([] if "--scale" in line else ["--scale", "shapes"])]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(message) and printed.count("\n") == 1
    assert trainer.trained == []


PETS = "own-pets-32px-3classes-2000images"


@pytest.mark.parametrize(("named", "counted"), [(["weight_decay"], {"weight_decay"}), (["all"], None)])
def test_of_ones_own_images_the_claims_that_are_named_alone_are_counted(tmp_path, monkeypatch, named, counted):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    args = argparse.Namespace(claims=named, scale=PETS, base=(), looks=None, new_rule=False)
    goal = settle_run.settle_goal_of(args, on_gpu=False)
    asked = {name for name, _ in family(all_claims(), PETS)}
    assert len(asked) > 10 and {name for name, _ in goal.rule.members} == (counted or asked)


@pytest.mark.parametrize(
    ("word", "alone", "more_seeds", "said"),
    [
        ("supported", "", None, "supported, "),
        ("undecided", "contradicted", 3, "contradicted alone, "),
        ("undecided", "", 3, ""),
        ("undecided", "", None, "undecided, "),
        ("incomplete", "", 3, ""),
    ],
)
def test_a_plan_says_what_stands_until_the_next_look(word, alone, more_seeds, said):
    verdict = SimpleNamespace(direction=word, alone=alone, more_seeds=more_seeds)
    assert settle_run._standing_words(SimpleNamespace(word=word, verdict=verdict)) == said
    assert settle_run._standing_words(None) == ""


def test_a_look_that_this_machine_cannot_complete_has_neither_runs_nor_hours(folder, trainer, monkeypatch, capsys):
    monkeypatch.setattr(settle_plan.Settling, "to_look", lambda *_: None)
    assert main(["settle", "--scale", "shapes", "--plan", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert {row[f"{what}_to_{look}_look"] for what in ("runs", "hours") for look in ("next", "last")} == {None}
    assert main(["settle", "--scale", "shapes", "--plan"]) == 0
    assert "runs of another machine" in capsys.readouterr().out
