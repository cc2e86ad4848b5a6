"""results/answers.npz: which test images each run answered rightly."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
from helpers import accepted, made_up_result, small_run
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import Refused
from alexnet.training.answers import answers_of
from study.record import tables
from study.record.answers import FILE, content_of, kept_of, read_answers
from study.run.result import RunResult

few_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)
CENTRE, TEN = "test_error", "test_error_ten_views"


def answered(seed: int, ways: list[int], ten: list[int] | None = None, machine: str = "a", weights: str = "1") -> RunResult:
    """A run with these answers, and the errors that they make."""
    encoded = {CENTRE: answers_of(ways), TEN: answers_of(ten) if ten is not None else None}
    return replace(
        made_up_result(small_run(seed), machine=machine),
        answers=encoded[CENTRE],
        answers_ten_views=encoded[TEN],
        test_error=encoded[CENTRE].wrong().mean(),
        test_error_ten_views=encoded[TEN].wrong().mean() if encoded[TEN] else None,
        test_top5_error=None,
        weights_sha256=weights * 64,
    )


def rows(folder) -> list[dict]:
    return tables.read(folder)[0].to_dict("records")


@settings(few_examples, max_examples=6)
@given(st.lists(st.lists(st.sampled_from([0, 1, 1, 2, 4]), min_size=1, max_size=20), min_size=1, max_size=4))
def test_the_errors_of_runs_csv_are_the_shares_of_wrong_answers_to_the_last_bit(tmp_path_factory, all_ways):
    folder = tmp_path_factory.mktemp("t")
    tables.merge(folder, [answered(seed, ways, ways[::-1]) for seed, ways in enumerate(all_ways)])
    kept = read_answers(folder)
    for row in rows(folder):
        for measure in (CENTRE, TEN):
            wrong = kept.wrong(row, measure)
            assert wrong is not None and wrong.mean() == row[measure]
            assert row["test_images"] == len(wrong)


def test_answers_are_read_back_for_their_run_and_machine(tmp_path):
    tables.merge(tmp_path, [answered(0, [1, 0, 2]), answered(0, [0, 0, 1], machine="b"), answered(1, [1] * 9, [0] * 9)])
    kept, found = read_answers(tmp_path), rows(tmp_path)
    wrong = {(row["machine"], row["seed"]): kept.wrong(row, CENTRE).tolist() for row in found}
    assert wrong == {("a, fp32", 0): [0, 1, 0.5], ("b, fp32", 0): [1, 1, 0], ("a, fp32", 1): [0] * 9}
    assert [kept.wrong(row, TEN) is None for row in found] == [True, False, True]


def test_equal_contents_are_equal_bytes_in_whatever_order_they_came(tmp_path):
    results = [answered(seed, [seed % 2, 1, 2], [1, 1, 0], machine) for seed in range(3) for machine in "ab"]
    for name, order in (("one", results), ("other", results[::-1])):
        for result in order:
            tables.merge(tmp_path / name, [result])
    tables.merge(tmp_path / "at_once", results)
    contents = {(tmp_path / name / FILE).read_bytes() for name in ("one", "other", "at_once")}
    assert contents == {content_of({kept.name: kept for result in results for kept in kept_of(result)})}


def test_nothing_is_written_anew_where_nothing_is_new(tmp_path):
    tables.merge(tmp_path, [answered(0, [1, 0])])
    before = (tmp_path / FILE).stat()
    tables.merge(tmp_path, [answered(0, [1, 0])])
    after = (tmp_path / FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_tables_of_two_people_merged_one_after_the_other_lose_nothing(tmp_path):
    mine, yours = [answered(seed, [1, 0], machine="a") for seed in (0, 1)], [answered(seed, [0, 1]) for seed in (2, 3)]
    tables.merge(tmp_path, mine)
    tables.merge(tmp_path, yours)
    kept = read_answers(tmp_path)
    assert [kept.wrong(row, CENTRE).tolist() for row in rows(tmp_path)] == [[0, 1], [0, 1], [1, 0], [1, 0]]


def without(result: RunResult) -> RunResult:
    return replace(result, answers=None, answers_ten_views=None, predicted_classes=None, chance_error=None)


def test_a_run_that_is_recorded_again_by_older_code_keeps_its_answers(tmp_path):
    tables.merge(tmp_path, [answered(0, [1, 0])])
    tables.merge(tmp_path, [without(answered(0, [1, 0]))])
    (row,) = rows(tmp_path)
    assert read_answers(tmp_path).wrong(row, CENTRE).tolist() == [0, 1]


def test_answers_of_weights_that_another_training_replaced_are_dropped(tmp_path):
    tables.merge(tmp_path, [answered(0, [1, 0], weights="1")])
    tables.merge(tmp_path, [without(answered(0, [1, 1], weights="2"))])
    (row,) = rows(tmp_path)
    kept = read_answers(tmp_path)
    assert kept.wrong(row, CENTRE) is None and not kept.kept


def test_answers_that_a_kill_left_before_their_rows_are_not_taken_for_those_of_other_weights(tmp_path):
    tables.merge(tmp_path, [answered(0, [1, 0], weights="1")])
    before = (tmp_path / "runs.csv").read_bytes()
    tables.merge(tmp_path, [answered(0, [0, 0], weights="2")])
    (tmp_path / "runs.csv").write_bytes(before)
    (row,) = rows(accepted(tmp_path))
    assert read_answers(tmp_path).wrong(row, CENTRE) is None


def test_a_folder_without_the_file_has_no_answers(tmp_path):
    tables.merge(tmp_path, [without(answered(0, [1, 0]))])
    assert not read_answers(tmp_path).kept and not (tmp_path / FILE).exists()


@few_examples
@given(st.floats(0, 1, exclude_max=True), st.booleans(), st.integers(0, 7))
def test_a_file_that_is_cut_or_changed_is_refused_by_its_name_or_says_what_it_said(tmp_path_factory, share, cuts, bit):
    folder = tmp_path_factory.mktemp("t")
    said = {kept.name: kept for kept in kept_of(answered(0, [1, 0, 2] * 9))}
    content = bytearray(content_of(said))
    place = int(share * len(content))
    if cuts:
        content = content[:place]
    else:
        content[place] ^= 1 << bit
    (folder / FILE).write_bytes(content)
    try:
        assert read_answers(folder).kept == said
    except Refused as refused:
        assert FILE in str(refused)


def test_a_fault_that_numpy_tells_in_two_lines_is_told_in_one(tmp_path):
    """That of a header of more than 10,000 bytes."""
    with zipfile.ZipFile(tmp_path / FILE, "w") as file:
        file.writestr("key.npy", b"\x93NUMPY\x01\x00" + (20_000).to_bytes(2, "little") + b" " * 20_000)
    with pytest.raises(Refused, match=FILE) as error:
        read_answers(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_ten_thousand_test_images_take_two_and_a_half_kilobytes_a_run_and_a_little_for_names(tmp_path):
    wrong = np.random.default_rng(0).random(10_000) > 0.267
    tables.merge(tmp_path, [answered(seed, wrong, wrong) for seed in range(10)])
    assert (tmp_path / FILE).stat().st_size < 10 * 2 * (1250 + 600) + 3000
