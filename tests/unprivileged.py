"""What a user without privileges does: the tests' own process is often root's, whom no mode of a folder stops."""

import multiprocessing
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="two users: only root can become another")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder in which everybody may write, where everybody can reach it: pytest's own are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="open-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def as_nobody(function: Callable[[], object]) -> object:
    """What `function` returns in a process of user nobody, without groups, and with the usual umask."""
    here, there = multiprocessing.Pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.umask(0o022)
            there.send((True, function()))
        except BaseException:
            there.send((False, traceback.format_exc()))
        finally:
            os._exit(0)
    there.close()
    try:
        went_well, told = here.recv()
    finally:
        os.waitpid(child, 0)
    assert went_well, told
    return told
