"""`replicate`: a finding once more on fresh seeds. Runs are made up: what trains is a stand-in."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result
from made_up_images import blank_images

from study.cli import replicate_run
from study.cli.main import main
from study.judge.evidence import find
from study.plan.claim_files import _claim_of, get_claim
from study.plan.cost import Cost
from study.plan.plan import PlannedRun
from study.plan.replications import Replications
from study.questions.scales import SCALES
from study.record import tables

CLAIM = '''
"""A question about made-up runs."""
from helpers import SMALL
from alexnet.recipe import changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="A question", command="replicate", reported=Reported(what="error", value=None, where="here"),
    arms=(Arm("control"), Arm("treated", {"optim.learning_rate": 0.5})),
    measure=AtEnd("test_error"),
    rule=DifferenceOfMeans(treated="treated", control="control", expected=1, no_effect_within=0.5),
    bases={"SMALL": changed(SMALL, {"optim.stop_at_train_error": 0.0})}, scales={"shapes": "proxy"},
)
'''
COMMAND = ["replicate", "question", "--scale", "shapes", "--pairs", "4"]


class Trainer:
    """In place of training: results made up, straight into the tables. The treated arm is higher by `effect` points."""

    def __init__(self):
        self.trained, self.effect, self.stops_at = [], 5.0, None

    def __call__(self, planned_runs, place, results, executor, console, tells_numbers):
        assert not tells_numbers  # nothing is judged before all pairs are there
        for planned in planned_runs:
            if len(self.trained) == self.stops_at:
                raise KeyboardInterrupt
            self.trained.append((planned.arm, planned.seed))
            record(planned, results, self.effect, place.machine.label)
        return []


def record(planned: PlannedRun, results: Path, effect: float, machine: str) -> None:
    error = 30 + planned.seed % 7 + (effect + 0.1 * (planned.seed % 3) if planned.arm == "treated" else 0)
    made = replace(made_up_result(planned, None), test_error=error / 100, weights_sha256=4 * planned.key)
    made = replace(made, machine=replace(made.machine, label=machine), started_ms=round(1000 * time.time()))
    tables.merge(results, [made])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """One claim with three seeds of each arm, of which the treated one is higher by five points."""
    monkeypatch.setitem(SCALES, "shapes", replace(SCALES["shapes"], best_role="proxy"))
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "question.py").write_text(CLAIM)
    _claim_of.cache_clear()
    monkeypatch.setattr("study.plan.claim_files.claims.__path__", [str(tmp_path / "no others")])
    for name, value in {"CLAIMS_DIR": "claims", "RESULTS_DIR": "results", "SPOOL_DIR": "spool"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr(replicate_run, "pace_of", lambda machine: Pace())
    monkeypatch.setattr(replicate_run, "load_known", blank_images)
    monkeypatch.setattr(replicate_run, "conclude", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    for arm, seed in [(arm, seed) for seed in range(5) for arm in ("control", "treated")]:
        record(planned_run(arm, seed), results(), 5.0, "elsewhere, fp32")
    return tmp_path


def planned_run(arm: str, seed: int) -> PlannedRun:
    recipe = get_claim("question").recipe_at("shapes", "SMALL", arm)
    return PlannedRun("question", "shapes", "SMALL", arm, seed, recipe, blank_images("shapes").fingerprint)


def results() -> Path:
    return Path("results").absolute()


class Pace:
    def cost(self, planned_runs):
        return Cost(60.0, "made up", f"{len(planned_runs)} runs to train")


@pytest.fixture
def trainer(monkeypatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(replicate_run, "train_and_record", made)
    return made


def test_the_same_effect_on_fresh_seeds_is_seen_again(folder, trainer, capsys):
    assert main(COMMAND) == 0
    assert trainer.trained == [(arm, seed) for seed in range(100, 104) for arm in ("treated", "control")]
    said = capsys.readouterr().out
    assert "commit it before its first run" in said and said.rstrip().endswith("seen again.")
    (finding,) = find(folder / "results").found
    assert finding.replicated.outcome == "seen again" and finding.verdict.effect.blocks <= 5


@pytest.mark.parametrize("effect", [0.0, -5.0])
def test_another_effect_on_fresh_seeds_is_not_confirmed(folder, trainer, capsys, effect):
    trainer.effect = effect - 0.1  # spread around it: -0.1, 0 and +0.1
    assert main(COMMAND) == 0
    assert capsys.readouterr().out.rstrip().endswith("not confirmed.")


def test_a_plan_writes_nothing_and_trains_nothing(folder, trainer, capsys):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main([*COMMAND, "--plan"]) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before and not trainer.trained
    assert "seeds 100 to 103" in capsys.readouterr().out


@pytest.mark.parametrize("stops_at", [0, 1, 5])
def test_after_a_kill_the_same_command_goes_on_by_the_same_rule(folder, trainer, capsys, stops_at):
    trainer.stops_at = stops_at
    assert main(COMMAND) == 130
    rule = Replications.read(folder / "results").rules
    trainer.stops_at = None
    assert main(COMMAND) == 0
    assert Replications.read(folder / "results").rules == rule
    assert sorted(trainer.trained) == sorted((arm, seed) for seed in range(100, 104) for arm in ("treated", "control"))
    assert capsys.readouterr().out.rstrip().endswith("seen again.")


def test_another_one_is_fixed_only_if_asked_for_and_takes_seeds_of_its_own(folder, trainer):
    main(COMMAND)
    main(COMMAND)
    assert len(trainer.trained) == 8
    assert main([*COMMAND, "--new"]) == 0
    assert [rule.first_seed for rule in Replications.read(folder / "results").rules] == [100, 110]
    assert {seed for _, seed in trainer.trained[8:]} == set(range(110, 114))


def test_a_new_one_is_refused_while_the_last_one_lacks_pairs(folder, trainer, capsys):
    trainer.stops_at = 3
    main(COMMAND)
    assert main([*COMMAND, "--new"]) == 2
    assert "--new: a replication of question lacks pairs; without --new they are trained" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, said",
    [
        (["nothing"], "claim: 'nothing' is not one of question"),
        (["question", "--scale", "smoke"], "SCALE: "),
        (["question", "--pairs", "2"], "--pairs: 2 is less than 3"),
        (["question", "--base", "LARGE"], "claim: question has no runs there"),
    ],
)
def test_a_mistake_is_refused_in_a_line_and_nothing_is_written(folder, trainer, capsys, words, said):
    assert main(["replicate", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
    assert not (folder / "results" / "replications.json").exists() and not trainer.trained


def test_other_numbers_of_pairs_than_were_fixed_are_refused(folder, trainer, capsys):
    main(COMMAND)
    assert main([*COMMAND[:-1], "5"]) == 2
    assert "4 were fixed on" in capsys.readouterr().err


def test_a_pair_from_another_machine_counts_and_half_a_pair_is_made_here_whole(folder, trainer):
    trainer.stops_at = 0
    main(COMMAND)  # fixes the rule
    for arm, seed in (("control", 101), ("control", 102), ("treated", 102)):
        record(planned_run(arm, seed), results(), 5.0, "elsewhere, fp32")
    trainer.stops_at = None
    main(COMMAND)
    assert trainer.trained == [(arm, seed) for seed in (100, 101, 103) for arm in ("treated", "control")]
    (finding,) = find(folder / "results").found
    assert finding.replicated.pairs == 4 and len(finding.replicated.machines) == 2


def test_the_seeds_of_any_run_of_the_scale_are_no_longer_fresh(folder, trainer):
    record(planned_run("control", 123), results(), 5.0, "elsewhere, fp32")
    main(COMMAND)
    assert Replications.read(folder / "results").rules[0].first_seed == 130
