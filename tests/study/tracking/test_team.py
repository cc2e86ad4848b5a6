"""MLflow and Optuna of a team: a real PostgreSQL, a real MLflow server, several writers, and what dies in between."""

import collections
import contextlib
import glob
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, small_run
from pretend_mac import needs_linux
from sqlalchemy.exc import OperationalError

from alexnet.machine import Machine
from alexnet.training.checkpoint import Checkpoints, sha256_of
from study.cli.main import main
from study.questions.asked import Asked
from study.run import database, one_run
from study.run.one_run import Place
from study.run.result import RESULT, RunResult, from_json, sealed, to_json
from study.run.search import Search, open_storage, search_arm
from study.tracking.keeper import record_results

ROOT = Path(__file__).parents[3]
PASSWORD = "geheim-7261"
INITDB = shutil.which("initdb") or next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)), None)
MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)
SEARCH = Search(Asked("relu_sooner", "shapes", "A-2012", "relu"), "0")
needs_postgresql = pytest.mark.skipif(INITDB is None, reason="PostgreSQL is not installed (Debian: apt-get install postgresql)")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*experimental:optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # sockets of a server that was killed
]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(answers, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not answers():
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.1)


# ---- The real things -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgresql():
    """URIs of databases, by name, in a PostgreSQL of this module's own, on 127.0.0.1 with a password."""
    if INITDB is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder, tools, port = Path(tempfile.mkdtemp(prefix="postgresql")), Path(INITDB).resolve().parent, free_port()
    as_user = {}
    if os.geteuid() == 0:  # which it refuses to run as
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    (folder / "password").write_text(PASSWORD)
    os.chmod(folder / "password", 0o644)
    command = [
        INITDB,
        "-D",
        folder / "data",
        "-U",
        "study",
        "-A",
        "scram-sha-256",
        "--no-sync",
        f"--pwfile={folder / 'password'}",
    ]
    subprocess.run(command, check=True, capture_output=True, **as_user)
    settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
    command = [tools / "postgres", "-D", folder / "data", "-k", folder, "-p", str(port), *settings]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, **as_user)

    def database(name: str) -> str:
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", "study"]
        subprocess.run([tools / "createdb", *where, name], env=environment, check=True, capture_output=True)
        return f"postgresql://study:{PASSWORD}@127.0.0.1:{port}/{name}"

    try:
        wait_for(
            lambda: (
                subprocess.run([tools / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], capture_output=True).returncode == 0
            )
        )
        yield database
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(folder)


class Server:
    """What `make ui` starts for a database."""

    def __init__(self, folder: Path, database: str):
        self.database, self.port, self.log = database, free_port(), folder / "server.log"
        self.uri = f"http://127.0.0.1:{self.port}"
        self.artifacts = folder / "artifacts"
        self.start()

    def start(self) -> None:
        settings = {
            "MLFLOW_TRACKING_URI": self.database,
            "MLFLOW_ARTIFACTS_DESTINATION": str(self.artifacts),
            "HOST": "0.0.0.0",
        }
        command = ["make", "ui", f"PORT={self.port}", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.ready"]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.uri}/health", timeout=2).status == 200
        return False

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def team_database(postgresql) -> str:
    return postgresql("team")


@pytest.fixture(scope="module")
def server(team_database, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), team_database)
    yield server
    server.kill()


def program(verb: str, arguments: object, **settings: str):
    """What the program `verb` (below) prints, as JSON. It forks the processes that work at once: to import takes long."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", **settings}
    command = [sys.executable, __file__, verb]  # the arguments have passwords, which ps would show
    done = subprocess.run(command, input=json.dumps(arguments), env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def results_of(seeds, claim: str, arm: str = "relu") -> list[RunResult]:
    results = [made_up_result(small_run(seed, arm), machine=claim) for seed in seeds]
    return [replace(result, asked=replace(result.asked, claim=claim)) for result in results]


def once(uri: str, expected: list[RunResult]) -> None:
    """Each of the results is one run, with each of its points once."""
    from study.tracking.store import Store

    store = Store(uri)
    claim, scale = expected[0].asked.claim, expected[0].asked.scale
    experiment = store.client.get_experiment_by_name(f"alexnet/{claim}/{scale}")
    runs = store.client.search_runs([experiment.experiment_id], "tags.`study.kind` = 'run'", max_results=1000)
    assert sorted(run.data.tags["study.key"] for run in runs) == sorted(result.key for result in expected)
    assert {run.info.status for run in runs} == {"FINISHED"}
    points = {result.key: result.points for result in expected}
    for run in runs:
        for name in ("running_error", "train_error"):
            found = [(m.step, m.value) for m in store.client.get_metric_history(run.info.run_id, name)]
            assert found == [(p.step, getattr(p, name)) for p in points[run.data.tags["study.key"]]]
    own = [result for result in store.results() if result.asked.claim == claim]
    assert sorted(own, key=lambda r: r.key) == sorted(expected, key=lambda r: r.key)


# ---- MLflow ----------------------------------------------------------------------------------------------------------


def record_at_once(folder: Path, uri: str, writers: dict[str, list[RunResult]]) -> None:
    for name, results in writers.items():
        (folder / name).mkdir()
        (folder / name / "results.json").write_text(json.dumps([to_json(result) for result in results]))
    codes = program("record", [str(folder / name) for name in writers], MLFLOW_TRACKING_URI=uri)
    assert codes == [0] * len(writers)


@needs_postgresql
def test_writers_with_spools_of_their_own_record_each_run_and_point_once(server, tmp_path):
    shared, own = list(range(4)), {"one": [10], "two": [20], "three": [30]}
    record_at_once(tmp_path, server.uri, {name: results_of(shared + seeds, "writers") for name, seeds in own.items()})
    once(server.uri, results_of([*shared, 10, 20, 30], "writers"))


@needs_postgresql
def test_what_a_killed_server_missed_is_recorded_by_the_next_call_and_nothing_is_doubled(server, tmp_path, monkeypatch):
    from study.tracking.store import Store

    expected, calls, at = results_of(range(4), "killed"), 0, random.Random(2012).randrange(15, 30)
    store = Store(server.uri)
    request = store.client._tracking_client.store._call_endpoint

    def counted(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == at:
            server.kill()
        return request(*arguments, **options)

    monkeypatch.setattr(store.client._tracking_client.store, "_call_endpoint", counted)
    with pytest.raises(Exception, match=r"Max retries exceeded|Connection"):
        store.record(expected, tmp_path)
    monkeypatch.undo()
    server.start()
    assert 0 < Store(server.uri).record(expected, tmp_path) < len(expected)
    assert Store(server.uri).record(expected, tmp_path) == 0
    once(server.uri, expected)


@needs_postgresql
def test_the_tables_of_a_served_and_of_a_shared_database_are_those_of_sqlite(server, postgresql, tmp_path, monkeypatch):
    results = results_of(range(2), "tables") + results_of(range(2), "tables", arm="tanh")
    for result in results:
        folder = tmp_path / "spool" / result.key
        folder.mkdir(parents=True)
        (folder / RESULT).write_bytes(sealed(result))
    monkeypatch.chdir(tmp_path)
    tables = {}
    for name, uri in {"http": server.uri, "direct": postgresql("direct"), "sqlite": f"sqlite:///{tmp_path}/mlflow.db"}.items():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "of_the_spool"))
        assert main(["record", str(tmp_path / "spool")]) == 0
        monkeypatch.setenv("RESULTS_DIR", str(tmp_path / name))
        assert main(["table"]) == 0
        lines = [(tmp_path / name / table).read_text().splitlines() for table in ("runs.csv", "curves.csv")]
        tables[name] = [[line for line in table if "tables, fp32" in line] for table in lines]  # others' runs are on the server
    assert tables["http"] == tables["sqlite"] == tables["direct"]
    assert len(tables["http"][0]) == len(results)


@needs_postgresql
def test_two_machines_may_be_the_first_in_an_empty_database(postgresql, tmp_path):
    uri = postgresql("first")
    record_at_once(tmp_path, uri, {name: results_of([0, 1], "first") for name in ("one", "two")})
    once(uri, results_of([0, 1], "first"))


@needs_postgresql
def test_whoever_waits_for_a_database_that_another_lays_out_says_for_whom(postgresql, monkeypatch, capsys):
    uri = postgresql("waited")
    monkeypatch.setattr(database, "NOTICE_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.5)
    with database.laying_out(uri), pytest.raises(OperationalError, match="lock timeout"), database.laying_out(uri):
        pass
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    assert f"/waited, held by {holder}; giving up after 0 seconds" in (printed := capsys.readouterr().err)
    assert printed.count("\n") == 1 and PASSWORD not in printed
    with database.laying_out(uri):  # it is free again
        assert capsys.readouterr().err == ""


@needs_linux
@needs_postgresql
def test_the_ui_is_on_this_machine_alone_and_ps_does_not_show_the_password(server):
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(f":{server.port:04X}")] == [f"0100007F:{server.port:04X}"]
    said = [one.read_bytes() for one in map(Path, glob.glob("/proc/[0-9]*/cmdline")) if one.exists()]
    assert any(str(server.port).encode() in line for line in said)
    assert not any(PASSWORD.encode() in line for line in said)
    assert PASSWORD not in server.log.read_text() and "this machine only" in server.log.read_text()


def test_other_machines_are_let_in_on_demand_and_with_a_warning(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mlflow").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "bin" / "mlflow").chmod(0o755)
    command = ["make", "ui", "HOST=0.0.0.0", f"VENV={tmp_path}", "-o", f"{tmp_path}/.ready"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "anyone who reaches this address can read and change runs" in said and "--host 0.0.0.0" in said


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:{}", f"postgresql://study:{PASSWORD}@127.0.0.1:{{}}/team", f"wrong://study:{PASSWORD}@host/db"]
)
def test_where_nobody_listens_a_study_goes_on_and_no_password_is_told(uri, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(free_port()))
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    result, spool = made_up_result(small_run()), tmp_path / "spool"
    (spool / result.key).mkdir(parents=True)
    (spool / result.key / RESULT).write_bytes(sealed(result))
    warning = record_results([result], spool, tmp_path / "results").warning
    assert "MLflow did not accept 1 run," in warning and "their run folders keep them" in warning
    assert (tmp_path / "results" / "runs.csv").read_text().count("\n") == 2
    assert main(["record", str(spool)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("MLFLOW_TRACKING_URI: ") and printed.count("\n") == 1
    assert PASSWORD not in printed + warning and (PASSWORD not in uri or "study:***@" in printed)


# ---- Optuna ----------------------------------------------------------------------------------------------------------


@needs_postgresql
def test_a_search_in_mlflows_own_database_goes_on_where_it_was_killed_and_is_shared(team_database, postgresql, tmp_path):
    """Stages: undisturbed and without a storage; killed; killed again; gone on; with another spool; two machines with one
    spool."""
    alone, hurt, other, both = (str(tmp_path / name) for name in ("alone", "hurt", "other", "both"))
    two = postgresql("two")
    ended = program(
        "search",
        [
            [(alone, "", 0)],
            [(hurt, team_database, 9)],
            [(hurt, team_database, 31)],
            [(hurt, team_database, 0)],
            [(other, team_database, 0)],
            [(both, two, 0), (both, two, 0)],
        ],
    )
    expected = ended[0]
    assert {trial["outcome"] for trial in expected["trials"]} == {"reached", "stopped"}
    assert ended[1:3] == [-signal.SIGKILL] * 2
    assert ended[3:] == [expected] * 4
    assert not (Path(other) / "trained").exists(), "the storage has every trial"
    each_once = {trial["key"]: 1 for trial in expected["trials"]}
    for folder in (alone, hurt, both):
        assert collections.Counter((Path(folder) / "trained").read_text().split()) == each_once
    for uri in (team_database, two):
        assert program("count", uri) == {str(trial["value"]): 1 for trial in expected["trials"]}


def test_a_storage_that_cannot_be_used_is_refused_in_a_line_without_its_password(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for url in (f"postgresql://study:{PASSWORD}@127.0.0.1:{free_port()}/team", f"wrong://study:{PASSWORD}@host/db", "nothing"):
        monkeypatch.setenv("OPTUNA_STORAGE", url)
        assert main(["search", "relu_sooner", "--scale", "smoke", "--device", "cpu", "--precision", "fp32"]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("OPTUNA_STORAGE: ") and printed.count("\n") == 1 and PASSWORD not in printed
    assert not (tmp_path / "results" / "tuned.json").exists()


# ---- Programs that tests start ---------------------------------------------------------------------------------------


def made_up_training(folder: Path, kill_at: int):
    """In the place of `one_run._trained`, so that leases, run folders and results are the real ones: errors fall at a pace that
    the rate decides. Kills this process at its point number `kill_at`."""
    seen = 0

    def trained(planned, place, checkpoints: Checkpoints, observe):
        nonlocal seen
        rate = planned.recipe.optim.learning_rate
        result = made_up_result(planned, 8 + 400 * abs(rate - 0.004))
        points = tuple(replace(point, running_error=0.25 + rate * (100 - point.epoch)) for point in result.points)
        result = replace(result, points=points)
        for number, point in enumerate(points, 1):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if observe(point) and number < len(points):
                result = replace(result, points=points[:number], outcome="stopped")
                break
            checkpoints.save({"epoch": number, "network": {}})
        time.sleep(0.05)
        with open(folder / "trained", "a") as file:
            file.write(planned.key + "\n")
        yield from ()  # no update is due
        return replace(result, weights_sha256=sha256_of({}))

    return trained


def record(folder: str) -> None:
    from study.tracking.store import Store

    results = [from_json(content) for content in json.loads((Path(folder) / "results.json").read_text())]
    os.chdir(Path(folder).parent)  # where a shared database has its artifacts
    Store().record(results, Path(folder))


def search(folder: str, storage: str, kill_at: int, answer) -> None:
    Path(folder).mkdir(exist_ok=True)
    os.environ["OPTUNA_STORAGE"] = storage
    one_run._trained = made_up_training(Path(folder), kill_at)
    answer.send(search_arm(SEARCH, Place(MACHINE, Path(folder), Path(folder) / "spool", 0), lambda message: None))


if __name__ == "__main__":
    verb, arguments = sys.argv[1], json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")
    if verb == "record":
        from study.tracking.store import set_up_mlflow

        set_up_mlflow()  # once, before the fork

        writers = [fork.Process(target=record, args=(folder,)) for folder in arguments]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        print(json.dumps([writer.exitcode for writer in writers]))
    elif verb == "search":
        import torch  # noqa: F401

        ended = []
        for stage in arguments:
            pipes = [fork.Pipe(False) for _ in stage]
            searches = [fork.Process(target=search, args=(*job, pipe[1])) for job, pipe in zip(stage, pipes)]
            for one in searches:
                one.start()
            for one, pipe in zip(searches, pipes):
                one.join()
                ended.append(pipe[0].recv() if one.exitcode == 0 else one.exitcode)
        print(json.dumps(ended))
    else:
        os.environ["OPTUNA_STORAGE"] = arguments
        storage = open_storage(Path(tempfile.mkdtemp()) / "lock")
        (study,) = storage.get_all_studies()
        trials = storage.get_all_trials(study._study_id)
        print(json.dumps(collections.Counter(str(value) for trial in trials for value in trial.params.values())))
