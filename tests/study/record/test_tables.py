"""The committed tables."""

import os
from dataclasses import replace

import pandas as pd
import pytest
from helpers import accepted, made_up_result, small_run
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import Refused
from alexnet.files import new_file_beside
from study.questions.claim import OWN_QUESTION
from study.record import tables
from study.run.result import RunResult
from study.tracking.keeper import record_results


def for_another_claim(result: RunResult) -> RunResult:
    """The same run, asked for by another claim."""
    return replace(result, asked=replace(result.asked, claim="ten_views", arm="2012"))


def test_what_is_written_is_read_back(tmp_path):
    result = made_up_result(small_run(), crossing=5.0)
    assert tables.merge(tmp_path, [result]) == 1
    runs, curves = tables.read(tmp_path)
    (run,) = runs.to_dict("records")
    assert (run["key"], run["seed"], run["outcome"], run["steps"], run["test_error"]) == (
        result.key,
        0,
        "reached",
        500,
        0.35,
    )
    assert curves.train_error.tolist() == [point.train_error for point in result.points]


def test_what_was_not_measured_stays_missing(tmp_path):
    result = made_up_result(small_run())
    first, *others = result.points
    result = replace(result, points=(replace(first, train_error=None), *others), test_error=None)
    tables.merge(tmp_path, [result])
    runs, curves = tables.read(tmp_path)
    assert runs.test_error.isna().all()
    assert curves.train_error.isna().tolist() == [True, False, False, False, False]


def test_merging_again_changes_no_byte(tmp_path):
    results = [made_up_result(small_run(seed, arm)) for seed in range(3) for arm in ("relu", "tanh")]
    tables.merge(tmp_path, results)
    before = [(tmp_path / name).read_bytes() for name in ("runs.csv", "curves.csv")]
    tables.merge(tmp_path, results[::-1])
    tables.merge(tmp_path, [])
    assert [(tmp_path / name).read_bytes() for name in ("runs.csv", "curves.csv")] == before


@pytest.mark.parametrize("name", ["digests.json", ".runs.csv.new", ".answers.npz.new"])
def test_what_a_kill_left_of_a_file_that_was_being_written_is_gone_with_the_next_write(tmp_path, name):
    """But not of a page, which others may be writing at this moment: pages are written without this lock."""
    unfinished = [new_file_beside(tmp_path / one) for one in (name, "REPORT.md")]
    for handle, _ in unfinished:
        os.close(handle)
    tables.merge(tmp_path, [made_up_result(small_run())])
    assert [path.exists() for _, path in unfinished] == [False, True]


def with_two_test_errors(result: RunResult) -> RunResult:
    """As of a run whose last point is of another machine than its result."""
    *first, last = result.points
    return replace(result, points=(*first, replace(last, test_error=result.test_error + 1e-4)))


def test_a_result_that_contradicts_itself_is_named_and_skipped_and_the_others_are_merged(tmp_path):
    one, other = made_up_result(small_run(0)), with_two_test_errors(made_up_result(small_run(1)))
    skipped: list[str] = []
    assert tables.merge(tmp_path, [one, other], skipped.append) == 1
    assert tables.read(tmp_path)[0].key.tolist() == [one.key]
    assert (
        len(skipped) == 1
        and skipped[0].startswith(f"{other.key}: ")
        and skipped[0].endswith("end with a different test error from runs.csv")
    )


def test_what_waits_to_be_recorded_is_not_barred_by_a_result_that_contradicts_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("study.tracking.keeper.into_mlflow", lambda *_: "")
    one, other = made_up_result(small_run(0)), with_two_test_errors(made_up_result(small_run(1)))
    recorded = record_results([one, other], tmp_path / "spool", tmp_path / "results")
    assert recorded.in_tables and recorded.warning.startswith(f"skipped: {other.key}: ")
    assert tables.read(tmp_path / "results")[0].key.tolist() == [one.key]


def test_another_machine_adds_a_row_and_the_same_machine_replaces_its_own(tmp_path):
    planned = small_run()
    tables.merge(tmp_path, [made_up_result(planned, 5.0, machine="a"), made_up_result(planned, 7.0, machine="b")])
    tables.merge(tmp_path, [made_up_result(planned, 9.0, machine="b")])
    runs, curves = tables.read(tmp_path)
    assert dict(zip(runs.machine, runs.epochs, strict=True)) == {"a, fp32": 5, "b, fp32": 9}
    assert len(curves) == 5 + 9


def test_a_table_written_before_a_column_was_added_is_read_with_that_column_missing(tmp_path):
    tables.merge(tmp_path, [made_up_result(small_run())])
    path = tmp_path / "runs.csv"
    pd.read_csv(path).drop(columns="cpu_share").to_csv(path, index=False)
    assert tables.read(accepted(tmp_path))[0].cpu_share.isna().tolist() == [True]
    tables.merge(tmp_path, [made_up_result(small_run(seed=1))])
    assert tables.read(tmp_path)[0].cpu_share.isna().tolist() == [True, False]


def test_an_empty_folder_reads_as_empty_tables_with_all_columns(tmp_path):
    runs, curves = tables.read(tmp_path)
    assert (len(runs), list(runs)) == (0, list(tables.RUN_COLUMNS))
    assert (len(curves), list(curves)) == (0, list(tables.CURVE_COLUMNS))


def test_a_table_that_is_damaged_is_refused_by_its_name(tmp_path):
    tables.merge(tmp_path, [made_up_result(small_run())])
    path = tmp_path / "runs.csv"
    path.write_text(path.read_text().replace(",500,", ",five,"))
    with pytest.raises(Refused, match=r"runs\.csv"):
        tables.read(tmp_path)


def test_a_label_that_reads_like_a_missing_value_stays_a_label(tmp_path):
    result = made_up_result(small_run())
    result = replace(result, software=replace(result.software, git_commit="NA"))
    tables.merge(tmp_path, [result])
    assert tables.read(tmp_path)[0].git_commit.tolist() == ["NA"]
    assert isinstance(tables.read(tmp_path)[0], pd.DataFrame)


def test_a_run_of_ones_own_question_stays_out_of_the_claims_tables(tmp_path):
    own = made_up_result(small_run(seed=1))
    own = replace(own, asked=replace(own.asked, claim=OWN_QUESTION))
    assert tables.merge(tmp_path, [own, made_up_result(small_run(seed=0))]) == 1
    assert tables.read(tmp_path)[0].seed.tolist() == [0]


def test_asking_again_for_another_claim_rewrites_no_row(tmp_path):
    result = made_up_result(small_run())
    tables.merge(tmp_path, [result])
    before = (tmp_path / "runs.csv").read_bytes(), (tmp_path / "curves.csv").read_bytes()
    tables.merge(tmp_path, [for_another_claim(result)])
    assert ((tmp_path / "runs.csv").read_bytes(), (tmp_path / "curves.csv").read_bytes()) == before


# ---- Some at a time --------------------------------------------------------------------------------------------------

RESULTS = [
    made_up_result(small_run(seed, arm), crossing, machine)
    for seed, arm, crossing, machine in (
        (0, "relu", 2.0, "a"),
        (0, "relu", 2.0, "b"),
        (0, "tanh", 3.0, "a"),
        (1, "relu", 1.0, "a"),
    )
]
RESULTS += [for_another_claim(RESULTS[0])]
RESULTS += [made_up_result(small_run(0, "relu"), 4.0, "a")]  # the same run, measured again


@pytest.mark.slow
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(RESULTS), max_size=7), st.sets(st.integers(1, 6)))
def test_merged_some_at_a_time_the_tables_are_those_of_one_by_one(tmp_path_factory, results, cuts):
    one_by_one, batches = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("batches")
    for result in results:
        tables.merge(one_by_one, [result])
    ends = sorted({*cuts, len(results)})
    for first, end in zip([0, *ends], ends, strict=False):
        tables.merge(batches, iter(results[first:end]))
    for name in ("runs.csv", "curves.csv"):
        there = [(folder / name).read_bytes() if (folder / name).exists() else b"" for folder in (one_by_one, batches)]
        assert there[0] == there[1]


@pytest.mark.parametrize("lost", ["runs.csv", "curves.csv"])
def test_a_kill_between_the_two_files_or_the_loss_of_one_costs_nothing_that_is_merged_again(tmp_path, lost):
    results = [made_up_result(small_run(seed)) for seed in range(3)]
    for folder in ("whole", "hurt"):
        tables.merge(tmp_path / folder, results[:1])
    before = (tmp_path / "hurt" / lost).read_bytes()
    tables.merge(tmp_path / "hurt", results[1:2])
    (tmp_path / "hurt" / lost).write_bytes(before)  # the other file knows of a run that this one does not
    accepted(tmp_path / "hurt")  # as before digests.json, when a kill could leave this
    tables.merge(tmp_path / "hurt", results[2:])
    tables.merge(tmp_path / "hurt", results)
    tables.merge(tmp_path / "whole", results)
    for name in ("runs.csv", "curves.csv"):
        assert (tmp_path / "hurt" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
