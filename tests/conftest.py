"""Small things the study's tests share. Nothing here trains for more than a second or two."""

import os
from pathlib import Path

import pytest
from helpers import write_tuned

# Without a GPU its kernels are tested by Triton's interpreter, which has to be chosen before triton is imported.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def one_thread():
    """Torch on one thread while a test runs: small tensors are slower on two, and much slower beside other work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tuned_folder(tmp_path: Path) -> Path:
    """A results folder with rates for both treatments of network A on shapes."""
    folder = tmp_path / "results"
    write_tuned(folder, {base: {"relu": 0.01, "tanh": 0.02} for base in ("A-2012", "A-today")})
    return folder


FAULTS: list[tuple[str, int, int, int]] = []


@pytest.fixture
def fault_table() -> list[tuple[str, int, int, int]]:
    """What was injected, how often, runs lost and runs doubled: told at the end of the session."""
    return FAULTS


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of a small study that nothing happened to."""
    from injured import finish

    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    return folder


@pytest.fixture
def equal(undisturbed, fault_table):
    """equal(folder, fault, times): `folder` holds what the undisturbed study holds, once; noted in the table of faults."""
    import pandas as pd
    from injured import bits, recorded

    def check(folder: Path, fault: str, times: int = 1) -> None:
        ours, theirs = bits(folder), bits(undisturbed)
        points, expected = recorded(folder), recorded(undisturbed)
        doubled = sum(len(points[key]) > len(expected[key]) for key in points)
        fault_table.append((fault, times, len(theirs.keys() - ours.keys()), doubled))
        assert ours == theirs
        assert points == expected
        for name in ("runs.csv", "curves.csv"):
            times_taken = ["seconds", "started", "cpu_share", "git_commit"]
            frames = (
                pd.read_csv(f / "results" / name).drop(columns=times_taken, errors="ignore") for f in (folder, undisturbed)
            )
            pd.testing.assert_frame_equal(*frames)

    return check


def pytest_sessionfinish(session) -> None:
    """Under pytest-xdist each process has a table of its own; the first process gathers them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = FAULTS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    FAULTS.extend(node.workeroutput["faults"] if hasattr(node, "workeroutput") else ())


def pytest_terminal_summary(terminalreporter) -> None:
    if FAULTS:
        terminalreporter.section("faults")
        width = max(len(fault) for fault, *_ in FAULTS)
        terminalreporter.write_line(f"{'fault':<{width}}  injected  lost  doubled")
        for fault, times, lost, doubled in FAULTS:
            terminalreporter.write_line(f"{fault:<{width}}  {times:>8}  {lost:>4}  {doubled:>7}")
