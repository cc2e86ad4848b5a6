"""`replicate`: a finding once more on fresh seeds. Runs are made up: what trains is a stand-in."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import accepted, made_up_result
from made_up_images import blank_images

from alexnet.machine import Machine
from study.cli import replicate_run, training
from study.cli.main import main
from study.judge.evidence import find
from study.judge.intervals import difference_of, ratio_of_logs
from study.plan.claim_files import _claim_of, get_claim
from study.plan.cost import Cost
from study.plan.fixed_rules import RULES, last_seed_of
from study.plan.plan import PlannedRun
from study.plan.replications import REPLICATIONS, write_replication
from study.questions.scales import SCALES
from study.record import tables
from study.report.replications import bound_words
from study.report.sentences import verdict_words
from study.run.result import RunResult

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
        self.trained, self.effect, self.stops_at, self.jobs = [], 5.0, None, 0

    def __call__(self, planned_runs, place, results, executor, console, shows_numbers, asked):
        assert not shows_numbers  # nothing is judged before all pairs are there
        self.jobs = place.machine.jobs
        now = planned_runs if self.stops_at is None else planned_runs[: self.stops_at - len(self.trained)]
        self.trained += [(planned.arm, planned.seed) for planned in now]
        tables.merge(results, [made(planned, self.effect, place.machine.label) for planned in now])
        if len(now) < len(planned_runs):
            raise KeyboardInterrupt
        return []


def made(planned: PlannedRun, effect: float = 5.0, machine: str = "elsewhere, fp32", started: float | None = None) -> RunResult:
    error = 30 + planned.seed % 7 + (effect + 0.1 * (planned.seed % 3) if planned.arm == "treated" else 0)
    result = replace(made_up_result(planned, None), test_error=error / 100, weights_sha256=4 * planned.key)
    machine_facts = replace(result.machine, label=machine)
    return replace(result, machine=machine_facts, started_ms=round(1000 * (started or time.time())))


def record(*runs: RunResult) -> None:
    tables.merge(results(), runs)


FIVE_PAIRS = [(arm, seed) for seed in range(5) for arm in ("control", "treated")]


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
    monkeypatch.setattr(replicate_run, "conclude", lambda *_, **__: find(results()))
    monkeypatch.setattr(replicate_run, "look_at_mlflow", lambda console: None)  # to lay out its database takes seconds
    monkeypatch.setattr("study.tracking.store.Store.__init__", lambda self: None)
    monkeypatch.setattr("study.tracking.store.Store.record", lambda self, *_: 0)
    monkeypatch.chdir(tmp_path)
    record(*(made(planned_run(*one)) for one in FIVE_PAIRS))
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
    stand_in = Trainer()
    monkeypatch.setattr(training, "train_and_record", stand_in)
    return stand_in


def test_the_first_call_writes_the_rule_and_the_second_trains_its_pairs(folder, trainer, capsys):
    assert main(COMMAND) == 0
    assert not trainer.trained and "Commit it" in capsys.readouterr().out
    assert main(COMMAND) == 0
    assert trainer.trained == [(arm, seed) for seed in range(100, 104) for arm in ("treated", "control")]
    assert capsys.readouterr().out.rstrip().endswith("seen again.")
    (finding,) = find(folder / "results").found
    assert [answer.outcome for answer in finding.replicated] == ["seen again"]
    assert all(arm.seeds == tuple(range(5)) for arm in finding.arms)  # its runs are in no verdict


def test_on_a_gpu_as_many_runs_at_a_time_are_trained_as_pay(folder, trainer, monkeypatch):
    gpu = Machine(device="cuda", name="a GPU", precision="bf16", threads=8)
    monkeypatch.setattr(replicate_run, "machine_of", lambda args: gpu)
    monkeypatch.setattr(replicate_run, "check_can_be_trained", lambda *_: None)
    monkeypatch.setattr("study.run.at_once.jobs_that_pay", lambda planned_runs, machine: (5, ""))
    assert main(COMMAND) == main(COMMAND) == 0
    assert trainer.trained and trainer.jobs == 5


@pytest.mark.parametrize("asked", [[], ["--plan"]])
def test_a_replication_that_is_done_tells_its_outcome_without_images_and_trains_nothing(
    folder, trainer, capsys, monkeypatch, asked
):
    assert main(COMMAND) == main(COMMAND) == 0
    trained = list(trainer.trained)
    monkeypatch.setattr(replicate_run, "load_known", None)
    capsys.readouterr()
    assert main([*COMMAND, *asked]) == 0
    assert capsys.readouterr().out.rstrip().endswith("seen again.")
    assert main([*COMMAND, *asked, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["outcome"], printed["runs_to_train"]) == ("seen again", 0) and trainer.trained == trained


@pytest.mark.parametrize("effect", [0.0, -5.0])
def test_another_effect_on_fresh_seeds_is_not_confirmed(folder, trainer, capsys, effect):
    trainer.effect = effect - 0.1  # spread around it: -0.1, 0 and +0.1
    assert main(COMMAND) == main(COMMAND) == 0
    assert capsys.readouterr().out.rstrip().endswith("not confirmed.")


def test_a_plan_writes_nothing_and_trains_nothing(folder, trainer, capsys):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main([*COMMAND, "--plan"]) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before and not trainer.trained
    assert "seeds 100 to 103" in capsys.readouterr().out


@pytest.mark.parametrize("stops_at", [0, 1, 5])
def test_after_a_kill_the_same_command_goes_on_by_the_same_rule(folder, trainer, capsys, stops_at):
    main(COMMAND)
    trainer.stops_at = stops_at
    assert main(COMMAND) == 130
    rule = REPLICATIONS.read(folder / "results").rules
    trainer.stops_at = None
    assert main(COMMAND) == 0
    assert REPLICATIONS.read(folder / "results").rules == rule
    assert sorted(trainer.trained) == sorted((arm, seed) for seed in range(100, 104) for arm in ("treated", "control"))
    assert capsys.readouterr().out.rstrip().endswith("seen again.")


def test_a_replication_that_lacks_pairs_shows_no_number_and_ends_with_1(folder, trainer, capsys, monkeypatch):
    main(COMMAND)
    monkeypatch.setattr(training, "train_and_record", lambda runs, *rest, **more: trainer(runs[:3], *rest, **more))
    assert main(COMMAND) == 1
    assert capsys.readouterr().out.rstrip().endswith("1 of 4 pairs are there; nothing is computed before all are.")
    (finding,) = find(folder / "results").found
    assert finding.replications[0].effect is None and not finding.replicated


def test_where_its_results_cannot_be_shown_a_line_says_so_and_it_ends_with_1(folder, trainer, capsys, monkeypatch):
    def conclude(*_):
        raise OSError("the disk is full")

    main(COMMAND)
    monkeypatch.setattr(replicate_run, "conclude", conclude)
    assert main(COMMAND) == 1 and trainer.trained
    assert "results not shown: OSError: the disk is full; the same command shows them" in capsys.readouterr().out


def test_another_one_is_planned_only_if_asked_for_and_both_are_told(folder, trainer):
    main(COMMAND)
    main(COMMAND)
    main(COMMAND)
    assert len(trainer.trained) == 8
    assert main([*COMMAND, "--new"]) == 0
    assert [rule.first_seed for rule in REPLICATIONS.read(folder / "results").rules] == [100, 110]
    trainer.effect = -5.0
    assert main(COMMAND) == 0
    assert {seed for _, seed in trainer.trained[8:]} == set(range(110, 114))
    (finding,) = find(folder / "results").found
    assert [answer.outcome for answer in finding.replicated] == ["seen again", "not confirmed"]
    assert verdict_words(finding).endswith("; seen again in 1 of 2 replications")


def test_the_words_of_the_finding_do_not_hold_the_outcome_of_the_last_one(folder, trainer):
    main(COMMAND)
    main(COMMAND)
    main([*COMMAND, "--new"])
    first, second = REPLICATIONS.read(folder / "results").rules
    assert first.finding == second.finding and "seen again" not in second.finding


def test_a_run_that_began_on_a_day_before_the_rule_is_told_and_refused(folder, trainer, capsys):
    main(COMMAND)
    record(made(planned_run("treated", 101), started=time.time() - 2 * 86400))
    assert main(COMMAND) == 2
    assert "the run of treated with seed 101 began on a day before" in capsys.readouterr().err


def test_a_new_rule_of_the_scale_takes_no_seed_of_a_replication(folder, trainer):
    main(COMMAND)
    main(["settle", "--scale", "shapes", "--new-rule"])
    assert RULES.read(folder / "results").of("shapes").first_seed == 110


def test_a_replication_takes_no_seed_that_a_look_of_the_scale_may_use(folder, trainer):
    record(made(planned_run("control", 99)))
    main(["settle", "--scale", "shapes", "--new-rule"])  # from seed 100 on
    rule = RULES.read(folder / "results").of("shapes")
    record(*(made(planned_run(arm, 100 + seed)) for arm, seed in FIVE_PAIRS))
    main(COMMAND)
    assert (rule.first_seed, last_seed_of(rule, get_claim("question"))) == (100, 119)
    assert REPLICATIONS.read(folder / "results").rules[0].first_seed == 120


def test_two_at_once_take_different_seeds_or_one_is_refused(folder, trainer, monkeypatch, capsys):
    """Another process writes its rule between this one's reading and writing."""
    main(COMMAND)
    rules = REPLICATIONS.read(folder / "results").rules
    (folder / "results" / "replications.json").unlink()
    accepted(folder / "results")

    def late(results, rule):
        write_replication(results, replace(rules[0], claim="other"))
        write_replication(results, rule)

    monkeypatch.setattr(replicate_run, "write_replication", late)
    assert main(COMMAND) == 2
    assert "another process has fixed seeds 100 to 103 meanwhile; try again" in capsys.readouterr().err


def test_a_replication_that_was_fixed_is_trained_though_its_finding_is_undecided_by_now(folder, trainer, capsys):
    main(COMMAND)
    for name in ("runs.csv", "curves.csv", "answers.npz"):
        (results() / name).unlink(missing_ok=True)
    accepted(results())
    record(*(made(planned_run(arm, seed), (-1) ** seed) for arm, seed in FIVE_PAIRS))
    (finding,) = find(results()).found
    assert finding.verdict.direction == "undecided" and not finding.verdict.alone
    assert main(COMMAND) == 0 and len(trainer.trained) == 8
    assert main([*COMMAND, "--new"]) == 2


def test_of_images_that_were_changed_the_finding_on_those_that_are_there_is_run_again(folder, trainer):
    earlier = "0" * 12
    record(*(made(replace(planned_run(*one), fingerprint=earlier)) for one in FIVE_PAIRS))
    assert find(results()).found[0].fingerprint == earlier
    assert main(COMMAND) == 0 and main(COMMAND) == 0 and len(trainer.trained) == 8


def test_a_plan_as_json_has_the_rule_and_the_cost(folder, trainer, capsys):
    assert main([*COMMAND, "--plan", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["is_new"] and printed["runs_to_train"] == 8 and printed["rule"]["first_seed"] == 100
    assert 1 >= printed["chance_if_as_large"] >= printed["chance_if_half_as_large"] > 0.05


def test_an_undecided_finding_has_nothing_that_could_be_seen_again(folder, trainer, capsys):
    for path in (folder / "results").glob("*"):
        path.unlink()
    record(*(made(planned_run(arm, seed), 0.1 * (-1) ** seed) for arm, seed in FIVE_PAIRS))
    assert main(COMMAND) == 2
    assert "only what is supported or contradicted can be seen again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, said",
    [
        (["nothing"], "claim: 'nothing' is not one of question"),
        (["question", "--scale", "smoke"], "SCALE: "),
        (["question", "--pairs", "2"], "--pairs: 2 is less than 3"),
        (["question", "--base", "LARGE"], "BASE: 'LARGE' is not one of SMALL"),
        (["question", "--error", "top1"], "--error: 'top1' is not one of train_error"),
    ],
)
def test_a_mistake_is_refused_in_a_line_and_nothing_is_written(folder, trainer, capsys, words, said):
    assert main(["replicate", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
    assert not (folder / "results" / "replications.json").exists() and not trainer.trained


def test_what_has_no_runs_is_refused_with_the_command_that_trains_them_at_that_scale_on_that_base(folder, monkeypatch, capsys):
    monkeypatch.setenv("RESULTS_DIR", str(folder / "empty"))
    (folder / "empty").mkdir()
    assert main([*COMMAND, "--base", "SMA*"]) == 2
    assert capsys.readouterr().err.endswith("python -m study run question --scale shapes --base 'SMA*'` makes them\n")


def test_other_numbers_of_pairs_than_were_fixed_are_refused(folder, trainer, capsys):
    main(COMMAND)
    assert main([*COMMAND[:-1], "5"]) == 2
    assert "4 were planned on" in capsys.readouterr().err


def test_a_pair_from_another_machine_counts_and_half_a_pair_is_made_here_whole(folder, trainer):
    main(COMMAND)  # writes the rule
    record(*(made(planned_run(*one)) for one in (("control", 101), ("control", 102), ("treated", 102))))
    record(made(planned_run("control", 103)), made(planned_run("treated", 103), machine="a third, fp32"))  # no pair
    main(COMMAND)
    assert trainer.trained == [(arm, seed) for seed in (100, 101, 103) for arm in ("treated", "control")]
    (finding,) = find(folder / "results").found
    assert finding.replicated[0].pairs == 4 and len(finding.replicated[0].machines) == 2


def test_the_seeds_of_any_run_of_the_scale_are_no_longer_fresh(folder, trainer):
    record(made(planned_run("control", 123)))
    main(COMMAND)
    assert REPLICATIONS.read(folder / "results").rules[0].first_seed == 130


@pytest.mark.parametrize(
    "bound, direction, words",
    [(0.321, 1, "above +0.32 points"), (-0.004, -1, "below -0.004 points"), (math.nan, 1, "without a bound")],
)
def test_a_bound_is_told_with_enough_digits_to_show_its_side(bound, direction, words):
    effect = difference_of(bound, 0.1, 9, 0.95, 10, 10, 0.3, 10)
    answer = SimpleNamespace(effect=effect, bound=bound, rule=SimpleNamespace(direction=direction, error="test_error"))
    assert bound_words(answer, SimpleNamespace()) == words


def test_a_bound_of_a_ratio_close_to_1_is_told_with_its_side_too():
    effect = ratio_of_logs(difference_of(-0.1, 0.05, 9, 0.95, 10, 10, 0.1, 10))
    rule = SimpleNamespace(direction=-1, error="")
    assert bound_words(SimpleNamespace(effect=effect, bound=0.9996, rule=rule), SimpleNamespace()) == "below x0.9996"
    assert bound_words(SimpleNamespace(effect=effect, bound=0.95, rule=rule), SimpleNamespace()) == "below x0.95"


def test_a_chance_is_never_said_to_be_certain(folder, trainer, capsys):
    assert main([*COMMAND, "--plan"]) == 0  # an effect of five points at a spread of a tenth
    out = capsys.readouterr().out
    assert "the chance of that is over 99%" in out and "100%" not in out
