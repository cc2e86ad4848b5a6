"""Files are written whole, under names that nobody can know beforehand, and never through links that others laid."""

import os

import pytest

from alexnet.errors import Refused
from alexnet.files import locked, new_file_beside, write_atomically
from study.cli.arguments import writable
from study.run import lease
from study.run.lease import Lease

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
