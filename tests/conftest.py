"""Fixtures that tests share. Nothing here trains for more than a second or two."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import write_tuned
from hypothesis import settings

from alexnet.files import locked

settings.register_profile("same every time", derandomize=True, deadline=None, database=None)
settings.load_profile("same every time")

# Without a GPU its kernels are tested by Triton's interpreter, which has to be chosen before triton is imported.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def one_thread():
    """Run torch on one thread in a test: small tensors are slower on two, and much slower if other work runs in parallel."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_shapes(monkeypatch) -> None:
    """Let the set "shapes" repeat 700 images: to draw 10,000 takes seconds."""
    from made_up_images import few_shapes_over_and_over

    monkeypatch.setattr("alexnet.data.synthetic_shapes.make_shapes", few_shapes_over_and_over)


@pytest.fixture
def tuned_folder(tmp_path: Path) -> Path:
    """Return a results folder with learning rates for both treatments of network A on shapes."""
    folder = tmp_path / "results"
    write_tuned(folder, {base: {"relu": 0.01, "tanh": 0.02} for base in ("A-2012", "A-today")})
    return folder


@pytest.fixture
def own_claim(tmp_path, monkeypatch):
    """own_claim(name, text, measured): the results folder and what is found of a claim file of this text, on made-up runs.

    measured(planned) returns the result of a planned run."""
    from study.judge.evidence import find
    from study.plan.claim_files import all_claims
    from study.plan.plan import make_plan
    from study.plan.tuned import Tuned
    from study.record import tables

    def found(name: str, text: str, measured: Callable) -> tuple[Path, tuple]:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / f"{name}.py").write_text(text)
        monkeypatch.setenv("CLAIMS_DIR", str(tmp_path / "mine"))
        planned_runs = make_plan(name, "cifar10-jpeg", "f00dfeed0000", Tuned())
        tables.merge(tmp_path, [measured(planned) for planned in planned_runs])
        return tmp_path, find(tmp_path, {name: all_claims()[name]}).found

    return found


FAULTS: list[tuple[str, int, int, int]] = []


@pytest.fixture
def fault_table() -> list[tuple[str, int, int, int]]:
    """Collect the faults injected, how often, and the runs lost or doubled. Printed at the end of the session."""
    return FAULTS


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """made_once(name, make) returns a folder that make(folder) filled, once for all processes of pytest-xdist. Tests must not
    write to it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = root / name, root / f".{name}.made"
        with locked(root / f".{name}.lock"):
            if not made.exists():  # what failed half-way is made again
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def undisturbed(made_once) -> Path:
    """Return the folder of a small study that ran without faults."""
    from injured import finish

    return made_once("undisturbed", finish)


@pytest.fixture
def copied(undisturbed, tmp_path) -> Path:
    """Return a copy of the undisturbed study, which the test may damage."""
    return Path(shutil.copytree(undisturbed, tmp_path / "copied"))


@pytest.fixture(scope="session")
def empty_mlflow(made_once) -> Path:
    """Return an SQLite file with MLflow's schema. It takes seconds to make, so tests copy it."""

    def make(folder: Path) -> None:
        from study.tracking.store import Store

        Store(f"sqlite:///{folder / 'mlflow.db'}").client.search_experiments()

    return made_once("empty_mlflow", make) / "mlflow.db"


@pytest.fixture
def laid_out(tmp_path, empty_mlflow) -> Path:
    """Return the folder of a small study that has not begun, with an empty MLflow store."""
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copy(empty_mlflow, folder)
    return folder


@pytest.fixture
def equal(undisturbed, fault_table):
    """equal(folder, fault, times) asserts that `folder` holds what the undisturbed study holds, once, and notes the fault."""
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
    """Collect the tables of faults in the first process: under pytest-xdist each process has its own."""
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
