"""Worker processes: one that dies or raises takes its own task with it and nothing else."""

import os
import signal

from study.run.executors.local import run_tasks


def work(payload, report):
    report(payload)
    if payload == "raise":
        raise ValueError("as asked")
    if payload == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return payload * 2


def pid_of(payload, report):
    return os.getpid()


def outcomes(payloads, jobs):
    reports, done, lost = [], {}, {}
    run_tasks(work, payloads, jobs, lambda i, m: reports.append((i, m)), done.__setitem__, lost.__setitem__)
    return reports, done, lost


def test_every_task_is_done_once_and_reports_by_its_position():
    reports, done, lost = outcomes([1, 2, 3, 4, 5], jobs=2)
    assert done == {0: 2, 1: 4, 2: 6, 3: 8, 4: 10}
    assert sorted(reports) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert not lost


def test_a_task_that_raises_or_is_killed_is_lost_with_its_reason_and_the_rest_goes_on():
    _, done, lost = outcomes(["a", "raise", "die", "b"], jobs=1)
    assert done == {0: "aa", 3: "bb"}
    assert lost == {1: "ValueError: as asked", 2: "its process ended with code -9"}


def test_no_tasks_is_no_work():
    assert outcomes([], jobs=4) == ([], {}, {})


def test_a_worker_killed_between_two_tasks_takes_nothing_with_it():
    """As the kernel kills one that waits while the caller writes tables."""
    pids, lost = {}, []

    def kill(position, pid):
        pids[position] = pid
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # until all of its threads are gone

    run_tasks(pid_of, [0, 1, 2], 1, print, kill, lambda *why: lost.append(why))
    assert sorted(pids) == [0, 1, 2] and len(set(pids.values())) == 3 and not lost
