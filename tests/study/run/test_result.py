"""result.json: sealed, read back, and found out where a byte of it flipped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, small_run, with_seal
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import Refused
from study.run.result import FORMAT, RESULT, GpuFacts, sealed, to_json
from study.run.run_folder import is_done, read_result, state_of_run

RESULT_OF_TODAY = made_up_result(small_run())
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def write(spool: Path, content: bytes | None = None) -> Path:
    """A run's folder with this result, by default the one made up here."""
    folder = spool / RESULT_OF_TODAY.key
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_bytes(sealed(RESULT_OF_TODAY) if content is None else content)
    return folder


def test_a_sealed_result_is_read_back_and_is_json_for_anyone(tmp_path):
    folder = write(tmp_path)
    assert read_result(folder) == RESULT_OF_TODAY
    content = json.loads((folder / RESULT).read_text())
    del content["sha256"]
    assert content == json.loads(json.dumps(to_json(RESULT_OF_TODAY)))


def test_what_ran_on_a_gpu_is_read_back(tmp_path):
    facts = GpuFacts(
        capability="9.0", driver="580.1", cuda="13.2", cudnn="92600", tf32=False, kernels="Triton 3.9.0", steps="graph"
    )
    result = replace(RESULT_OF_TODAY, gpu=facts)
    assert read_result(write(tmp_path, sealed(result))) == result


def without(content: dict, *names: str) -> dict:
    return {name: value for name, value in content.items() if name not in names}


def of_format_1(content: dict) -> dict:
    """Without a number for its format, nor some of today's fields."""
    machine, software = without(content["machine"], "ranks"), without(content["software"], "kernels")
    points = [without(point, "validation_error", "test_error") for point in content["points"]]
    return {
        **without(content, "format", "test_error_ten_views", "gpu"),
        "machine": machine,
        "software": software,
        "points": points,
    }


def of_format_2(content: dict) -> dict:
    return {**without(content, "answers", "answers_ten_views", "predicted_classes", "chance_error", "gpu"), "format": 2}


OLD = {
    of_format_1: RESULT_OF_TODAY,
    of_format_2: replace(RESULT_OF_TODAY, answers=None, predicted_classes=None, chance_error=None),
}


@pytest.mark.parametrize("older", OLD)
def test_a_result_of_an_older_format_is_read(tmp_path, older):
    text = json.dumps(older(to_json(RESULT_OF_TODAY)), indent=1)
    assert read_result(write(tmp_path, with_seal(text))) == OLD[older]


def test_a_result_without_a_digest_is_neither_believed_nor_done_again(tmp_path):
    with pytest.raises(Refused, match="has no digest"):
        read_result(write(tmp_path, json.dumps(to_json(RESULT_OF_TODAY), indent=1).encode()))


def test_the_result_of_newer_code_is_refused_and_not_done_again(tmp_path):
    with pytest.raises(Refused, match=f"format is {FORMAT + 1}"):
        read_result(write(tmp_path, with_seal(json.dumps({**to_json(RESULT_OF_TODAY), "format": FORMAT + 1}, indent=1))))


@few_examples
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_result_with_any_flipped_bit_is_believed_no_more(tmp_path_factory, share, bit):
    content = bytearray(sealed(RESULT_OF_TODAY))
    content[int(share * len(content))] ^= 1 << bit
    folder = write(tmp_path_factory.mktemp("flipped"), bytes(content))
    try:
        assert read_result(folder) is None
    except Refused as refused:  # a flip in the word "sha256": a file without a digest
        assert "no digest" in str(refused)


@few_examples
@given(st.floats(0, 1, exclude_max=True))
def test_a_result_cut_off_anywhere_is_none(tmp_path_factory, share):
    content = sealed(RESULT_OF_TODAY)
    folder = write(tmp_path_factory.mktemp("torn"), content[: int(share * len(content))])
    assert read_result(folder) is None and is_done(folder)
    assert state_of_run(folder).state == "failed"
