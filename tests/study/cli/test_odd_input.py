"""Odd input of every kind gives one line, exit code 2, and writes nothing."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet.errors import Refused
from alexnet.machine import launched
from study.cli.main import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path, monkeypatch, small_shapes):
    """An empty working folder, and none of the user's own settings."""
    for name in ("SCALE", "SEEDS", "DEVICE", "PRECISION", "JOBS", "DATA_DIR", "ARMS", "BASE", "RESULTS_DIR", "SPOOL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(here, capsys, line):
    """The one line that the command gives."""
    before = {path for path in here.rglob("*")}
    assert main(shlex.split(line)) == 2
    out, error = capsys.readouterr()
    assert out == "" and len(error.splitlines()) == 1 and len(error) < 600
    assert {path for path in here.rglob("*") if "__pycache__" not in path.parts} == before
    return error


@pytest.mark.parametrize(
    "variables, field",
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "-2", "RANK": "0"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "2.0", "RANK": "0"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "9" * 5000, "RANK": "0"}, "WORLD_SIZE"),
        ({"WORLD_SIZE": "2", "RANK": "x"}, "RANK"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK"),
        ({"LOCAL_WORLD_SIZE": "many"}, "LOCAL_WORLD_SIZE"),
        ({"LOCAL_RANK": "²"}, "LOCAL_RANK"),
    ],
)
@pytest.mark.parametrize("line", ["plan relu_sooner --scale smoke", "train FIGURE_1_A --set data.name=shapes"])
def test_what_torchrun_cannot_have_set_is_refused_by_the_name_of_the_variable(
    here, capsys, monkeypatch, variables, field, line
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert refused(here, capsys, line).startswith(f"{field}: ")


def test_a_world_of_one_process_needs_no_rank(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.delenv("RANK", raising=False)
    assert (launched().rank, launched().count) == (0, 1)


@pytest.mark.parametrize(
    "line, field",
    [
        ("train ALEXNET_32 --set model.width=1e308", "model.width"),
        ("train ALEXNET_32 --set optim.epochs=1e308", "optim.epochs"),
        ("train ALEXNET_32 --set model.classes=1" + "0" * 400, "model.classes"),
        ("train ALEXNET_32 --set model.width=1" + "0" * 400, "model.width"),
        ("train ALEXNET_32 --set model.width=1" + "0" * 5000, "model.width"),
        ("train ALEXNET_32 --set optim.learning_rate=NaN", "optim.learning_rate"),
        ("train ALEXNET_32 --set optim.schedule=" + "[" * 100_000, "optim.schedule"),
        ("train ALEXNET_32 --set optim.schedule=" + "[" * 900 + "]" * 900, "optim.schedule"),
        ("train ALEXNET_32 --set 'model.layers=[1]'", "model.layers"),
        ("plan relu_sooner --scale smoke --jobs 1000", "JOBS"),
        ("run relu_sooner --scale smoke --jobs 1000", "JOBS"),
        ("describe relu_sooner/A-today/relu/more", "arm of the recipe"),
        ("describe relu_sooner/A-today/relu/", "arm of the recipe"),
        ("train relu_sooner/A-today/relu/and/more", "arm of the recipe"),
        ("describe PAPER --figure x.nope", "--figure"),
        ("describe PAPER --figure ''", "--figure"),
        ("describe PAPER --figure /tmp", "--figure"),
        ("describe PAPER --figure name", "--figure"),
        ("describe PAPER --figure new/folder/x.nope", "--figure"),
    ],
    ids=lambda value: value[:60],
)
def test_an_odd_value_is_refused_by_its_field(here, capsys, line, field):
    message = refused(here, capsys, line)
    assert field.removeprefix("model.").removeprefix("optim.") in message.partition(": ")[0], message


def test_a_figure_is_not_drawn_into_a_folder_of_that_name(here, capsys):
    (here / "folder.png").mkdir()
    assert refused(here, capsys, "describe PAPER --figure folder.png").startswith("--figure: ")


@pytest.mark.parametrize("ends", ["import sys; sys.exit(0)", "raise SystemExit", "exit()", "import sys; sys.exit('x')"])
@pytest.mark.parametrize("line", ["plan mine --scale smoke", "run mine depth --scale smoke"])
def test_a_claim_file_that_ends_the_process_is_refused_by_its_name(here, capsys, monkeypatch, ends, line):
    (here / "claims").mkdir()
    (here / "claims" / "mine.py").write_text(ends)
    monkeypatch.setenv("CLAIMS_DIR", str(here / "claims"))
    assert "mine.py: SystemExit" in refused(here, capsys, line)


def test_the_other_claims_are_listed_beside_a_faulty_file(here, capsys, monkeypatch):
    (here / "claims").mkdir()
    (here / "claims" / "mine.py").write_text("raise SystemExit")
    monkeypatch.setenv("CLAIMS_DIR", str(here / "claims"))
    assert main(["list"]) == 0
    out, error = capsys.readouterr()
    assert "\ndepth: " in out and "mine" not in out
    assert error == f"left out: {here / 'claims' / 'mine.py'}: SystemExit: (line 1)\n"


@pytest.mark.parametrize("variable", ["SPOOL_DIR", "RESULTS_DIR"])
def test_where_one_folder_cannot_be_written_the_other_is_not_made(here, capsys, monkeypatch, variable):
    from study.cli.arguments import writable_all

    (here / "a file").touch()
    folders = {"SPOOL_DIR": here / "spool", "RESULTS_DIR": here / "results", variable: here / "a file" / "in it"}
    with pytest.raises(Refused, match=f"^{variable}: cannot write"):
        writable_all(**folders)
    assert [path.name for path in here.iterdir()] == ["a file"]


@pytest.mark.parametrize(
    "options, words",
    [
        ("cluster=nope", "'nope' is not one of slurm, local"),
        ("cluster=", "is not one of slurm, local"),
        ("cluster=local time=soon", "time=soon is not a whole number"),
        ("cluster=local mem-gb=-1", "mem_gb=-1 is not a whole number"),
        ("cluster=local 'half", "no closing quotation"),
        ("cluster=local partition", "'partition' is not NAME=VALUE"),
        ("cluster=local =x", "'=x' is not NAME=VALUE"),
    ],
)
def test_nonsense_in_slurm_options_is_refused_before_anything_is_written(here, capsys, monkeypatch, options, words):
    monkeypatch.setenv("SLURM_OPTIONS", options)
    error = refused(here, capsys, "run relu_sooner --scale smoke --executor slurm")
    assert error.startswith("SLURM_OPTIONS: ") and words in error


HELD_BACK = """
import os, runpy, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getpid(), signal.SIGTERM)
runpy.run_module("study", run_name="__main__", alter_sys=True)
"""


def test_asked_to_stop_while_python_started_again_a_command_says_that_it_stopped(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", HELD_BACK, "list"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (75, "stopped; the same command continues from here\n")


TOLD_BY_ITS_HANDLER = """
import runpy, signal
real = signal.signal
def once(*arguments):
    real(*arguments)
    signal.signal = real
    print("begun", flush=True)
signal.signal = once
runpy.run_module("study", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("line", ["plan all --scale shapes", "train FIGURE_1_A --set data.name=shapes"])
def test_asked_to_stop_in_its_first_second_a_command_ends_with_75(tmp_path, seconds, line):
    """From when it has its handler: before, all is Python's own, which nothing here can change."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", TOLD_BY_ITS_HANDLER]
    process = subprocess.Popen(
        [*command, *shlex.split(line)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75 and "Traceback" not in error
    assert error.endswith("stopped; the same command continues from here\n")
