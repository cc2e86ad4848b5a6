"""Files are written completely or not at all, under names that nobody can guess, and never through links that others made."""

import inspect
import multiprocessing
import os
import socket
from pathlib import Path

import pytest
from unprivileged import NOBODY, as_nobody, needs_root, open_folder  # noqa: F401 - a fixture

from alexnet import files
from alexnet.errors import Refused
from alexnet.files import locked, new_file_beside, write_atomically
from study.cli.arguments import writable
from study.run import lease
from study.run.lease import Lease

ROOT = Path(__file__).parents[2]
PRECIOUS = b"somebody's own"


@pytest.fixture
def precious(tmp_path):
    """A file that lies elsewhere, and must stay as it is."""
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "precious"
    path.write_bytes(PRECIOUS)
    os.utime(path, (1, 1))
    return path


def write(folder):
    write_atomically(folder / "result.json", b"new")


def take_the_lock(folder):
    with locked(folder / ".lock"):
        pass


def hold_the_lease(folder):
    with Lease(folder):
        lease.holder_of(folder)


@pytest.mark.parametrize("use", [write, take_the_lock, hold_the_lease, lambda folder: writable(folder, "SPOOL_DIR")])
def test_no_file_is_written_or_touched_through_a_link_of_any_name_that_can_be_known(tmp_path, precious, use):
    names = ["result.json", "lease.json", ".lock"]
    names += [f".{name}.{os.getpid()}" for name in ("result.json", "lease.json", "now", "writable")]
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(precious)
    try:
        use(folder)
    except Refused as refused:
        assert str(folder / ".lock") in str(refused) and "\n" not in str(refused)
    assert precious.read_bytes() == PRECIOUS and precious.stat().st_mtime == 1


@pytest.mark.parametrize("name", [".lock", ".table.lock", ".record.lock", ".packing.lock", ".rules.lock"])
def test_a_lock_is_taken_without_truncating_what_lies_there(tmp_path, name):
    (tmp_path / name).write_bytes(PRECIOUS)
    with locked(tmp_path / name):
        pass
    assert (tmp_path / name).read_bytes() == PRECIOUS


@needs_root
@pytest.mark.parametrize("use", [write, take_the_lock, hold_the_lease, lambda folder: writable(folder, "SPOOL_DIR")])
@pytest.mark.parametrize("name", ["result.json", "lease.json", ".lock", ".result.json.1", ".now.1", ".writable.1"])
def test_a_user_without_privileges_writes_to_nothing_of_his_through_the_links_of_another(open_folder, use, name):  # noqa: F811
    """The links are another user's, in a folder that both may write to; what they point to is the writer's own."""
    hold_the_lease(open_folder / "before")  # all imports: the other user may not be able to
    own, shared = open_folder / "own", open_folder / "shared"
    own.write_bytes(PRECIOUS)
    os.chown(own, NOBODY, NOBODY)
    os.utime(own, (1, 1))
    shared.mkdir()
    shared.chmod(0o777)
    (shared / name).symlink_to(own)

    def used() -> str:
        try:
            use(shared)
        except Refused as refused:
            return str(refused)
        return ""

    refused = as_nobody(used)
    assert refused == "" or str(shared / ".lock") in refused
    assert own.read_bytes() == PRECIOUS and own.stat().st_mtime == 1


def hold(path, ready, over) -> None:
    with locked(path):
        ready.set()
        over.wait(60)


def test_a_lock_that_is_waited_for_says_for_whom_and_ends_by_a_limit(tmp_path, monkeypatch, capsys):
    fork = multiprocessing.get_context("fork")
    ready, over = fork.Event(), fork.Event()
    holder = fork.Process(target=hold, args=(tmp_path / ".table.lock", ready, over))
    holder.start()
    assert ready.wait(60)
    monkeypatch.setattr(files, "NOTICE_AFTER_SECONDS", 0.1)
    by_whom = f"by process {holder.pid} on {socket.gethostname()}"
    with pytest.raises(TimeoutError, match=by_whom), locked(tmp_path / ".table.lock", 0.4):
        pass
    (line,) = capsys.readouterr().err.splitlines()
    assert by_whom in line and str(tmp_path / ".table.lock") in line
    over.set()
    holder.join()
    with locked(tmp_path / ".table.lock", 0.0):
        pass


def test_every_lock_has_a_limit():
    assert inspect.signature(locked).parameters["patience_seconds"].default <= 3600
    sources = {path.name: path.read_text() for package in ("alexnet", "study") for path in (ROOT / package).rglob("*.py")}
    taken = [(name, line) for name, source in sources.items() for line in source.splitlines() if "fcntl.flock(" in line]
    assert {name for name, _ in taken} == {"files.py", "download.py"}  # `locked` waits, to its limit; a download never does
    assert all("fcntl.LOCK_NB" in line for _, line in taken), taken


def test_of_a_lock_in_whose_file_something_else_stands_nobody_is_named(tmp_path):
    (tmp_path / ".lock").write_bytes(PRECIOUS)
    with (
        locked(tmp_path / ".lock"),
        pytest.raises(TimeoutError, match="by an unknown process"),
        locked(tmp_path / ".lock", 0.0),
    ):
        pass


def use_again_and_again(folder, failures) -> None:
    os.getpid = lambda: 1
    for _ in range(150):
        try:
            writable(folder, "SPOOL_DIR")
            write(folder)
            lease._now(folder)
            take_the_lock(folder)
        except BaseException as error:
            failures.put(repr(error))


def test_two_containers_that_both_have_process_1_are_never_in_each_others_way(tmp_path):
    fork = multiprocessing.get_context("fork")
    failures = fork.SimpleQueue()
    both = [fork.Process(target=use_again_and_again, args=(tmp_path, failures)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert failures.empty() and sorted(path.name for path in tmp_path.iterdir()) == [".lock", "result.json"]


def test_a_lock_is_not_made_through_a_link_that_points_nowhere(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "made")
    with pytest.raises(Refused, match="delete the link"), locked(tmp_path / ".lock"):
        pass
    assert not (tmp_path / "made").exists()


def test_a_file_may_be_read_by_whomever_the_umask_lets(tmp_path):
    before = os.umask(0o002)
    try:
        write(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o664


def test_two_new_files_beside_one_have_names_of_their_own(tmp_path):
    made = [new_file_beside(tmp_path / "x") for _ in range(20)]
    for handle, _ in made:
        os.close(handle)
    assert len({path for _, path in made}) == 20
