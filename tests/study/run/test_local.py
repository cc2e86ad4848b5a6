"""Worker processes: one that dies or raises takes its own task with it and nothing else."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from pretend_mac import needs_linux
from remote_work import work

from alexnet.machine import Machine
from alexnet.training.checkpoint import Interrupted
from study.run.executors.base import Done, Lost, Message, Task
from study.run.executors.local import LocalProcesses
from study.run.one_run import ALLOCATOR, Place
from study.run.stop import STOP

PLACE = Place(Machine(device="cpu", name="test machine", precision="fp32", threads=1), Path("data"), Path("spool"))


def pid_of(word, place, report):
    return os.getpid()


def work_until_asked_to_stop(word, place, report):
    report(os.getpid())
    STOP.wait(60)
    (place.spool_dir / "checkpoint").touch()
    raise Interrupted


def events_of(words, jobs) -> list:
    return list(LocalProcesses().run([Task(work, word, PLACE) for word in words], jobs))


def test_every_task_reports_and_is_done_once_and_in_this_order():
    events = events_of([1, 2, 3, 4, 5], jobs=2)
    for position in range(5):
        own = [event for event in events if event.position == position]
        assert own == [Message(position, position + 1), Done(position, 2 * (position + 1))]
    assert len(events) == 10


def test_a_task_that_raises_or_dies_is_lost_with_its_reason_and_the_rest_goes_on():
    ended = [event for event in events_of(["a", "raise", "die", "b"], jobs=1) if isinstance(event, Done | Lost)]
    assert ended == [
        Done(0, "aa"),
        Lost(1, "ValueError: as asked"),
        Lost(2, "its process ended with code 3", 3),
        Done(3, "bb"),
    ]


def test_no_tasks_is_no_work():
    assert events_of([], jobs=4) == []


def test_closing_the_events_in_the_middle_ends_the_workers_which_may_keep_a_checkpoint(tmp_path):
    events = LocalProcesses().run([Task(work_until_asked_to_stop, "", replace(PLACE, spool_dir=tmp_path))], 1)
    pid = next(event.message for event in events if isinstance(event, Message))
    events.close()
    assert (tmp_path / "checkpoint").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_have_the_allocators_settings_and_the_caller_keeps_its_environment(monkeypatch):
    for name in ALLOCATOR:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")  # the user's own
    before = dict(os.environ)
    (done,) = [event for event in events_of(["environment"], jobs=1) if isinstance(event, Done)]
    _, started_with = done.result
    assert {name: started_with[name] for name in ALLOCATOR} == {**ALLOCATOR, "MALLOC_TOP_PAD_": "4096"}
    assert dict(os.environ) == before


@needs_linux  # os.waitid
@pytest.mark.slow
def test_a_worker_killed_between_two_tasks_takes_nothing_with_it():
    """As the kernel kills one that waits while the caller writes tables."""
    pids = {}
    for event in LocalProcesses().run([Task(pid_of, word, PLACE) for word in "abc"], 1):
        assert not isinstance(event, Lost)
        if isinstance(event, Done):
            pids[event.position] = event.result
            os.kill(event.result, signal.SIGKILL)
            os.waitid(os.P_PID, event.result, os.WEXITED | os.WNOWAIT)  # until all of its threads are gone
    assert sorted(pids) == [0, 1, 2] and len(set(pids.values())) == 3
