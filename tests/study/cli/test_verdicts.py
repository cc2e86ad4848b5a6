"""`check`, `diff` and `merge`: verdicts as data. Runs are made up."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from helpers import accepted, made_up_result, write_tuned

from study.cli.main import main
from study.judge.evidence import find
from study.plan import replications
from study.plan.claim_files import get_claim
from study.plan.fixed_rules import RULES, fix, write_rule
from study.plan.plan import make_plan
from study.plan.replications import REPLICATIONS, Replication, write_replication
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.looks import Looks
from study.record import merging, tables
from study.record.answers import read_answers
from study.report.verdict_files import write_verdicts

RESULTS = Path(__file__).parents[3] / "results"
SLOWER = {0: 2.0, 1: 2.2, 2: 1.9, 3: 2.1, 4: 2.0}
"""How many times as long tanh takes, seed by seed."""
RATES = {"A-2012": {"relu": 0.01, "tanh": 0.02}}


def runs(results: Path, seeds: int = 3, machine: str = "test machine", times: float = 1.0) -> list:
    """Made-up runs of one claim, tanh `times` SLOWER than relu."""
    write_tuned(results, RATES, scale="cifar10-jpeg")
    planned_runs = make_plan("relu_sooner", "cifar10-jpeg", "f00dfeed0000", Tuned.read(results), bases=["A-2012"], seeds=seeds)
    made = []
    for planned in planned_runs:
        crossing = 3.0 + planned.seed / 10
        if planned.arm == "tanh":
            crossing *= SLOWER[planned.seed] * times
        made.append(made_up_result(planned, crossing, machine=machine))
    return made


CLAIMS = {"relu_sooner": get_claim("relu_sooner")}


def make(results: Path) -> None:
    tables.merge(results, runs(results))
    write_verdicts(results, find(results, CLAIMS))


def files_of(folder: Path) -> dict[Path, bytes]:
    """All but locks, which say who took them last."""
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"}


@pytest.fixture
def folder(made_once, tmp_path, monkeypatch) -> Path:
    """Results of a claim with its first look and their verdicts, as RESULTS_DIR. There is no other claim, which saves time."""
    monkeypatch.setattr("study.judge.evidence.all_claims", lambda: CLAIMS)
    results = Path(shutil.copytree(made_once("verdicts_as_data", make), tmp_path / "results"))
    monkeypatch.setenv("RESULTS_DIR", str(results))
    monkeypatch.chdir(tmp_path)
    return results


def json_printed(capsys, *words) -> tuple[int, dict]:
    code = main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def edited(folder: Path, change: Callable[[dict], object], name: str = "other.json") -> Path:
    """The verdicts of `folder` with a change, in a file beside it."""
    content = json.loads((folder / "verdicts.json").read_text())
    change(content)
    path = folder.parent / name
    path.write_text(json.dumps(content))
    return path


# ---- check -----------------------------------------------------------------------------------------------------------


def test_verdicts_that_the_tables_still_give_are_equal(folder, capsys):
    assert main(["check"]) == 0
    assert "1 finding, as in" in capsys.readouterr().out


def test_a_verdict_that_changed_is_told_with_what_it_was_and_is(folder, capsys):
    path = edited(folder, lambda content: content["verdicts"][0]["verdict"].update(direction="contradicted"))
    assert main(["check", str(path)]) == 1
    words = "verdict.direction contradicted -> undecided"
    assert f"changed  relu_sooner/cifar10-jpeg/A-2012/f00dfeed0000: {words}" in capsys.readouterr().out


def test_other_words_and_rounding_of_other_libraries_are_no_change(folder, capsys):
    def change(content):
        verdict = content["verdicts"][0]["verdict"]
        verdict |= {"why": "As before, in other words.", "p": verdict["p"] * (1 + 1e-9)}

    assert main(["check", str(edited(folder, change))]) == 0


def test_a_verdict_more_or_less_is_new_or_gone(folder, capsys):
    code, changes = json_printed(capsys, "check", edited(folder, lambda content: content["verdicts"].clear()))
    assert code == 1 and changes["new"] == ["relu_sooner/cifar10-jpeg/A-2012/f00dfeed0000"]
    for table in ("runs.csv", "curves.csv"):
        path = folder / table
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    accepted(folder)
    code, changes = json_printed(capsys, "check")
    assert code == 1 and changes["gone"] == ["relu_sooner/cifar10-jpeg/A-2012/f00dfeed0000"]


DAMAGED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda text: text[: len(text) // 2], "not JSON"),
    "nothing": (lambda text: "", "not JSON (empty)"),
    "a list": (lambda text: "[]", "damaged (no format)"),
    "a newer format": (lambda text: text.replace('"format": 3', '"format": 9', 1), "its format is 9, not 3; update the code"),
    "no list": (lambda text: json.dumps({"format": 3, "tables": {}}), "no list of verdicts"),
    "no id": (lambda text: text.replace('"id"', '"name"'), "verdict 1 has no id"),
    "no direction": (lambda text: text.replace('"direction"', '"course"'), "has no verdict"),
    "a text for an estimate": (lambda text: text.replace('"estimate": ', '"estimate": "x", "was": '), "has no estimate"),
    "an effect of no kind": (
        lambda text: text.replace('"kind": "ratio"', '"kind": "x"'),
        "is none of ratio, difference, share",
    ),
    "a list of contrasts": (lambda text: text.replace('"contrasts": {}', '"contrasts": [1]'), "the contrasts of relu_sooner"),
    "a contrast that is no effect": (lambda text: text.replace('"contrasts": {}', '"contrasts": {"x": 1}'), "the x of relu"),
    "a bound that is none": (lambda text: text.replace('"bound": "exact"', '"bound": "x"'), "has no estimate"),
    "not a number": (lambda text: text.replace('"estimate": ', '"estimate": NaN, "was": '), "not JSON"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_verdicts_file_is_refused_in_a_line_that_names_it(folder, capsys, what):
    change, words = DAMAGED[what]
    path = folder / "verdicts.json"
    assert change(path.read_text()) != path.read_text()
    path.write_text(change(path.read_text()))
    assert main(["check"]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(f"{path}: ") and words in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("missing", ["verdicts.json", "runs.csv"])
def test_without_verdicts_or_tables_there_is_nothing_to_check(folder, capsys, missing):
    (folder / missing).unlink()
    assert main(["check"]) == 2
    assert missing in capsys.readouterr().err


@pytest.mark.slow
def test_the_committed_verdicts_are_what_the_committed_tables_say(monkeypatch, capsys):
    monkeypatch.setenv("RESULTS_DIR", str(RESULTS))
    code, out = main(["check"]), capsys.readouterr().out
    assert code == 0, out
    (in_report,) = re.findall(r"^!\[(\d+ findings): ", (RESULTS / "REPORT.md").read_text(), re.M)
    assert out.startswith(f"{in_report} and ")  # and designs, which the report does not count as findings


# ---- diff ------------------------------------------------------------------------------------------------------------


def with_runs(folder: Path, name: str, **more) -> Path:
    """Another folder of results, beside `folder`."""
    other = folder.parent / name
    tables.merge(other, runs(other, **more))
    return other


def test_a_number_that_moved_beyond_its_interval_is_told_apart_from_one_that_did_not(folder, capsys):
    near, far = with_runs(folder, "near", times=1.001), with_runs(folder, "far", times=2.0)
    name = "relu_sooner/cifar10-jpeg/A-2012/f00dfeed0000"
    code, changes = json_printed(capsys, "diff", folder, near)
    assert code == 1 and list(changes["changed"]) == [name] and not changes["moved_beyond_intervals"]
    code, changes = json_printed(capsys, "diff", folder, far)
    assert code == 1 and list(changes["moved_beyond_intervals"]) == [name]


def test_the_same_folder_twice_does_not_differ(folder, capsys):
    assert main(["diff", str(folder), str(folder)]) == 0
    assert "the same: 1 finding" in capsys.readouterr().out


def test_verdicts_that_were_not_made_of_the_tables_as_they_are_are_judged_anew(folder, capsys):
    stale = Path(shutil.copytree(folder, folder.parent / "stale"))
    tables.merge(stale, runs(stale, seeds=4))
    assert main(["diff", str(folder), str(stale)]) == 1
    assert "results (1 finding, as written)" in (out := capsys.readouterr().out) and "stale (1 finding, judged now)" in out


def git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True)


def test_two_commits_are_compared_by_what_they_hold(folder, capsys):
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", "results")
    git(folder.parent, "commit", "-q", "-m", "first")
    shutil.rmtree(folder)
    tables.merge(folder, runs(folder, times=2.0))
    git(folder.parent, "add", "-A", "results")
    git(folder.parent, "commit", "-q", "-m", "second")
    code, changes = json_printed(capsys, "diff", "HEAD~1", "HEAD")
    assert code == 1 and len(changes["moved_beyond_intervals"]) == 1
    assert json_printed(capsys, "diff", "HEAD")[0] == 0


@pytest.mark.parametrize("written", ["no-such-commit", "--help-me", "empty", "HEAD^{tree}"])
def test_what_is_neither_a_folder_of_results_nor_a_commit_is_refused(folder, capsys, written):
    (folder.parent / "empty").mkdir()
    assert main(["diff", "--", written]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


# ---- merge -----------------------------------------------------------------------------------------------------------


def test_runs_of_two_folders_come_into_one_each_once(folder, capsys):
    other = with_runs(folder, "other", seeds=5)
    code, merged = json_printed(capsys, "merge", other)
    assert code == 0 and merged["new_runs"] == {str(other): 2} and merged["known_runs"] == {str(other): 3 + 5}
    expected = tables.read(other)[0]
    pd.testing.assert_frame_equal(tables.read(folder)[0], expected)
    assert read_answers(folder).kept == read_answers(other).kept
    before = files_of(folder)
    assert json_printed(capsys, "merge", other)[1]["new_runs"] == {str(other): 0}
    assert files_of(folder) == before


@pytest.mark.parametrize("is_chosen", [False, True])
def test_runs_on_synthetic_images_stay_out_of_the_studys_own_folder(folder, capsys, monkeypatch, is_chosen):
    """As `record` keeps them out. A folder that the user names takes all."""
    other = with_runs(folder, "other", seeds=5)
    planned = make_plan("relu_sooner", "shapes", "f00dfeed0000", Tuned.read(other), bases=["A-2012"], seeds=1)
    tables.merge(other, [made_up_result(one, 3.0, machine="test machine") for one in planned])
    folder.rename(folder.parent / "results")
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("RESULTS_DIR", "results") if is_chosen else monkeypatch.delenv("RESULTS_DIR", raising=False)
    assert main(["merge", str(other)]) == 0
    scales = tables.read_runs(folder.parent / "results").scale.value_counts().to_dict()
    assert scales == {"cifar10-jpeg": 10, **({"shapes": 2} if is_chosen else {})}
    assert ("2 runs on synthetic images or your own are left out" in capsys.readouterr().out) != is_chosen


def test_a_rule_that_is_fixed_while_folders_are_merged_is_kept(folder, monkeypatch):
    """The other process waits for the lock, which the merge holds from its reading to its writing."""
    other, rule, put_together = with_runs(folder, "other", seeds=5), fix("shapes", (), CLAIMS), merging.put_together
    writer = threading.Thread(target=lambda: write_rule(folder, rule))

    def meanwhile(*given, **more):
        merged = put_together(*given, **more)
        writer.start()
        writer.join(0.5)  # long enough to write, if nothing held it back
        return merged

    monkeypatch.setattr(merging, "put_together", meanwhile)
    theirs = fix("cifar10-jpeg", (), CLAIMS)
    write_rule(other, theirs)
    assert main(["merge", str(other)]) == 0
    writer.join()
    kept = RULES.read(folder)
    assert (kept.of("shapes"), kept.of("cifar10-jpeg")) == (rule, theirs)


def test_a_run_of_one_key_and_machine_with_other_bits_is_named_and_ours_stays(folder, capsys):
    other = folder.parent / "other"
    made = runs(other)
    made[0] = replace(made[0], weights_sha256=sha256(b"other bits").hexdigest())
    tables.merge(other, made)
    before = (folder / "runs.csv").read_bytes()
    assert main(["merge", str(other)]) == 0
    assert f"{made[0].key}: two runs on test machine, fp32 with different bits" in capsys.readouterr().out
    assert (folder / "runs.csv").read_bytes() == before


def test_two_machines_that_find_the_same_agree_and_two_that_do_not_differ(folder, capsys):
    near, far = (with_runs(folder, name, machine=name, times=times) for name, times in (("near", 1.02), ("far", 3.0)))
    assert main(["merge", str(near)]) == 0
    out = capsys.readouterr().out
    assert "relu_sooner, A-2012, cifar10-jpeg: the machines agree" in out and "near, fp32 x2.0" in out
    assert "of runs on two machines 8 have the same bits, 0 have different bits" in out
    assert [one["answer"] for one in json_printed(capsys, "merge", far)[1]["machines"]] == ["differ"]


def test_a_rate_of_theirs_that_is_another_is_told_and_ours_stays(folder, capsys):
    other = with_runs(folder, "other", seeds=4)
    text = (other / "tuned.json").read_text().replace("0.02", "0.03")
    (other / "tuned.json").write_text(text)
    accepted(other)
    assert main(["merge", str(other)]) == 0
    out = capsys.readouterr().out
    assert "the learning rate of relu_sooner/A-2012/cifar10-jpeg, tanh, is 0.03 there and 0.02 here; the one here stays" in out
    assert Tuned.read(folder).entry(Asked("relu_sooner", "cifar10-jpeg", "A-2012", "tanh"))["value"] == 0.02


def test_rates_come_from_a_folder_that_has_no_runs(folder, capsys):
    """Of a machine that only searched, or whose runs are recorded from their folders."""
    other, runs_before = folder.parent / "rates", (folder / "runs.csv").read_bytes()
    write_tuned(other, {"B-2012": {"relu": 0.002}}, scale="cifar10-jpeg")
    assert main(["merge", str(other)]) == 0
    assert Tuned.read(folder).entry(Asked("relu_sooner", "cifar10-jpeg", "B-2012", "relu"))["value"] == 0.002
    assert Tuned.read(folder).entry(Asked("relu_sooner", "cifar10-jpeg", "A-2012", "tanh"))["value"] == 0.02
    assert (folder / "runs.csv").read_bytes() == runs_before and main(["check"]) == 0


def test_a_folder_that_is_damaged_is_refused_and_nothing_is_written(folder, capsys):
    good, bad = with_runs(folder, "good", seeds=4), with_runs(folder, "bad", seeds=5)
    (bad / "curves.csv").write_text((bad / "curves.csv").read_text()[:-30])
    before = files_of(folder)
    assert main(["merge", str(good), str(bad)]) == 2
    assert str(bad / "curves.csv") in capsys.readouterr().err
    assert files_of(folder) == before


def test_a_damaged_file_of_arrays_is_not_copied(folder, capsys):
    other = with_runs(folder, "other", seeds=4)
    (other / "figures").mkdir()
    (other / "figures" / "a-figure-4.npz").write_bytes(b"cut")
    before = files_of(folder)
    assert main(["merge", str(other)]) == 2
    assert capsys.readouterr().err.startswith(f"{other / 'figures' / 'a-figure-4.npz'}: damaged (")
    assert files_of(folder) == before and not (folder / "figures").exists()


@pytest.mark.parametrize("which", ["results", "empty"])
def test_a_folder_with_nothing_to_merge_is_refused(folder, capsys, which):
    (folder.parent / "empty").mkdir()
    assert main(["merge", str(folder.parent / which)]) == 2
    assert which in capsys.readouterr().err


def test_their_rule_comes_with_their_runs_and_ours_stays_where_there_are_two(folder, capsys):
    other = with_runs(folder, "other", seeds=4)
    members = [("relu_sooner", "A-2012")]
    theirs = fix("cifar10-jpeg", members, CLAIMS, looks=Looks((3, 5), (5, 8)))
    write_rule(other, theirs)
    assert main(["merge", str(other)]) == 0
    assert RULES.read(folder).of("cifar10-jpeg") == theirs
    third = with_runs(folder, "third", seeds=4)
    write_rule(third, fix("cifar10-jpeg", members, CLAIMS, looks=Looks((2, 9), (2, 9))))
    assert main(["merge", str(third)]) == 0
    assert "differs from the rule here" in capsys.readouterr().out
    assert RULES.read(folder).of("cifar10-jpeg") == theirs


def test_replications_of_both_are_kept_and_of_two_with_the_same_seeds_ours(folder, capsys):
    other = with_runs(folder, "other", seeds=4)
    mine, theirs = replicated_from(100, "ours"), replicated_from(110, "theirs")
    same = replicated_from(100, "in other words")
    write_replication(folder, mine)
    write_replication(other, same)
    write_replication(other, theirs)
    assert main(["merge", str(other)]) == 0
    assert REPLICATIONS.read(folder).rules == [mine, theirs]
    said = [line for line in capsys.readouterr().out.splitlines() if "replication of relu_sooner" in line]
    assert len(said) == 1 and "with seeds 100 to 102" in said[0] and said[0].endswith("the one here stays")


def replicated_from(first_seed: int, found: str) -> Replication:
    return replications.fix(
        "relu_sooner", get_claim("relu_sooner"), "cifar10-jpeg", "A-2012", ("tanh", "relu"), Tuned.read(RESULTS),
        direction=1, finding=found, first_seed=first_seed, pairs=3,
    )  # fmt: skip
