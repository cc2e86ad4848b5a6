"""result.json: sealed, read back, and found out where a byte of it flipped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, small_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import Refused
from study.run.result import FORMAT, RunResult, sealed, to_json
from study.run.run_folder import RESULT, is_done, read_result, state_of_run

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def write(folder: Path, result: RunResult) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_bytes(sealed(result))


def test_a_sealed_result_is_read_back_and_is_json_for_anyone(tmp_path):
    result = made_up_result(small_cell())
    write(tmp_path, result)
    assert read_result(tmp_path) == result
    told = json.loads((tmp_path / RESULT).read_text())
    del told["sha256"]
    assert told == json.loads(json.dumps(to_json(result)))


def test_a_result_of_before_there_were_seals_is_read(tmp_path):
    """Nor a number for its format, nor some of today's fields."""
    result = made_up_result(small_cell())
    told = to_json(result)
    del told["format"], told["machine"]["ranks"], told["software"]["kernels"], told["test_error_ten_views"]
    for point in told["points"]:
        del point["validation_error"], point["test_error"]
    (tmp_path / RESULT).write_text(json.dumps(told, indent=1))
    assert read_result(tmp_path) == result


def test_a_result_of_before_answers_were_kept_is_read_without_them(tmp_path):
    result = made_up_result(small_cell())
    told = {**to_json(result), "format": 2}
    for name in ("answers", "answers_ten_views", "predicted_classes", "chance_error"):
        del told[name]
    (tmp_path / RESULT).write_text(json.dumps(told, indent=1))
    assert read_result(tmp_path) == replace(result, answers=None, predicted_classes=None, chance_error=None)


def test_the_result_of_newer_code_is_refused_and_not_done_again(tmp_path):
    told = {**to_json(made_up_result(small_cell())), "format": FORMAT + 1}
    (tmp_path / RESULT).write_text(json.dumps(told))
    with pytest.raises(Refused, match=f"format is {FORMAT + 1}"):
        read_result(tmp_path)


@few_examples
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_result_with_any_flipped_bit_is_found_or_says_what_it_said(tmp_path_factory, share, bit):
    folder, result = tmp_path_factory.mktemp("flipped"), made_up_result(small_cell())
    content = bytearray(sealed(result))
    content[int(share * len(content))] ^= 1 << bit
    (folder / RESULT).write_bytes(content)
    back = read_result(folder)
    assert back is None or back == result  # a flip in the word "sha256" alone leaves the rest as it was


@few_examples
@given(st.floats(0, 1, exclude_max=True))
def test_a_result_cut_off_anywhere_is_none(tmp_path_factory, share):
    folder, content = tmp_path_factory.mktemp("torn"), sealed(made_up_result(small_cell()))
    (folder / RESULT).write_bytes(content[: int(share * len(content))])
    assert read_result(folder) is None and is_done(folder)
    assert state_of_run(folder).state == "failed"
