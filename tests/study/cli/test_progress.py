"""What a user sees while runs are trained: a line an arm, with its seeds as they end."""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from helpers import made_up_result, small_run

from alexnet.training.history import Point
from study.cli.console import Console
from study.cli.progress import RunProgress, value_of, values_words

ERROR = "epochs to 25% training error"
PLANNED_RUNS = [small_run(seed, arm) for seed in range(3) for arm in ("relu", "tanh")]


def end(progress: RunProgress, planned, crossing: float = 4.0) -> None:
    result = made_up_result(planned, crossing)
    progress.point(planned, result.points[-1])
    progress.over(planned, "reached", value_of(planned, result))


def of(planned_runs, done=()) -> RunProgress:
    return RunProgress(planned_runs, [5.0] * len(planned_runs), 2, Console(), done)


def test_a_run_that_ends_is_told_with_all_seeds_of_its_arm_and_the_time_left(capsys):
    progress = of(PLANNED_RUNS)
    end(progress, PLANNED_RUNS[0])
    end(progress, PLANNED_RUNS[2], 4.5)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"[1/6 runs] A-today relu, 1 of 3 seeds: {ERROR} 4.00; seed 0 reached; about ")
    assert second.startswith(f"[2/6 runs] A-today relu, 2 of 3 seeds: {ERROR} 4.00, 4.50; seed 1 reached; about ")
    assert first.endswith(" s left")


def test_the_last_run_leaves_no_time_and_runs_from_before_are_counted(capsys):
    progress = of(PLANNED_RUNS[-1:], done=PLANNED_RUNS[:-1])
    end(progress, PLANNED_RUNS[-1])
    assert capsys.readouterr().out == f"[1/1 run] A-today tanh, 3 of 3 seeds: 2 from before, {ERROR} 4.00; seed 2 reached\n"


def test_a_run_that_was_lost_and_then_trained_counts_once():
    progress = of(PLANNED_RUNS)
    progress.over(PLANNED_RUNS[0], "LOST, out of memory")
    assert progress.line_of(("relu_sooner", "A-today", "relu")).endswith("1 of 3 seeds: lost")
    progress.again(PLANNED_RUNS[0])
    assert not progress.ended and progress.line_of(("relu_sooner", "A-today", "relu")).endswith("0 of 3 seeds")
    end(progress, PLANNED_RUNS[0])
    assert progress.line_of(("relu_sooner", "A-today", "relu")).endswith(f"1 of 3 seeds: {ERROR} 4.00")


def test_a_run_without_a_number_is_told_by_how_it_ended():
    never = made_up_result(PLANNED_RUNS[0], None)
    assert value_of(PLANNED_RUNS[0], never) == f"> {PLANNED_RUNS[0].recipe.optim.epochs}"
    depth = replace(PLANNED_RUNS[0], claim="depth")
    assert value_of(depth, replace(never, outcome="diverged")) == "diverged"
    assert value_of(depth, replace(never, outcome="finished", test_error_ten_views=0.3125)) == "31.25"
    assert value_of(replace(PLANNED_RUNS[0], claim="column_colour"), never) == "finished"  # its number is in its weights


@pytest.mark.parametrize(
    ("claim", "values", "told"),
    [
        ("response_norm", ["48.05"], "test error ten views 48.05%"),
        ("response_norm", ["lost", "48.05", "diverged", "47.90"], "lost, test error ten views 48.05%, diverged, 47.90%"),
        ("ten_views", ["-1.20", "0.10"], "test error, ten views minus one -1.20 points, 0.10 points"),
        ("relu_sooner", ["> 6", "4.00"], "epochs to 25% training error > 6, 4.00"),
        ("column_colour", ["finished"], "finished"),
    ],
)
def test_a_number_is_told_with_what_it_is_and_its_unit(claim, values, told):
    assert values_words(claim, values) == told


# ---- On a terminal ---------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """What stands on a screen after texts and the few movements that are used here."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        lines = [""]
        for part in re.split(r"(\r\x1b\[\d+A\x1b\[J|\n)", self.getvalue()):
            if part == "\n":
                lines.append("")
            elif up := re.fullmatch(r"\r\x1b\[(\d+)A\x1b\[J", part):
                lines = [*lines[: len(lines) - 1 - int(up[1])], ""]
            else:
                lines[-1] += part
        return lines[:-1]


@contextlib.contextmanager
def on_a_terminal() -> Iterator[Terminal]:
    """Of 120 columns and 30 lines; both streams are it. Not a fixture: pytest sets the streams anew when a test begins."""
    screen = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        for stream in ("stdout", "stderr"):
            patch.setattr(sys, stream, screen)
        patch.setenv("COLUMNS", "120")
        patch.setenv("LINES", "30")
        yield screen


def test_on_a_terminal_each_arm_has_one_line_that_grows():
    with on_a_terminal() as terminal:
        progress = of(PLANNED_RUNS)
        for planned in PLANNED_RUNS[:4]:
            end(progress, planned)
        progress.so_far("A-today", "x1.00 [0.90, 1.11] with 2 runs on here; unfinished, 0 of 4 looks taken")
    *arms, so_far, last = terminal.screen
    assert arms == [
        f"  A-today relu, 2 of 3 seeds: {ERROR} 4.00, 4.00",
        f"  A-today tanh, 2 of 3 seeds: {ERROR} 4.00, 4.00",
    ]
    assert so_far.startswith("    so far, A-today: x1.00 [0.90, 1.11] with 2 runs on here; unfinished")
    assert last.startswith("[4/6 runs] about ") and " left" in last


def test_what_else_is_said_stands_above_the_block_and_stays():
    with on_a_terminal() as terminal:
        progress = of(PLANNED_RUNS)
        end(progress, PLANNED_RUNS[0])
        progress.say("another process trains it")
        end(progress, PLANNED_RUNS[1])
        assert terminal.screen[0] == "another process trains it" and len(terminal.screen) == 4
        progress.close()
        Console().say("the end")
    assert terminal.screen[0] == "another process trains it" and terminal.screen[-1] == "the end" and len(terminal.screen) == 5


@pytest.mark.parametrize(("columns", "lines"), [(40, 30), (100, 6), (20, 4)])
def test_the_block_is_no_wider_and_no_higher_than_the_terminal(monkeypatch, columns, lines):
    planned_runs = [replace(small_run(seed), base=f"BASE-{base}") for base in range(9) for seed in range(3)]
    progress = of(planned_runs)
    progress.point(planned_runs[0], Point(1, 100, 2.0, 1.0, 0.5, 0.5))
    for planned in planned_runs:
        end(progress, planned)
    block = progress.block(columns, lines)
    assert max(map(len, block)) < columns and len(block) < lines


def test_the_time_left_is_that_of_as_many_at_a_time_as_are_left_and_by_runs_that_ended_well():
    """One run of 5 epochs at 10 s left, two at a time: its 50 s are not halved. A run that was lost early says nothing."""
    progress = of(PLANNED_RUNS[:1])
    progress.pace["other"] = 10.0
    assert progress.remaining() == "about 50 s left"
    progress = of([PLANNED_RUNS[0], PLANNED_RUNS[2]])
    progress.epochs[PLANNED_RUNS[0].key], progress.pace[PLANNED_RUNS[0].key] = 1, 10.0
    progress.over(PLANNED_RUNS[0], "LOST, out of memory")
    assert progress.remaining() == "about 50 s left"
