"""Worker processes: one that dies or raises takes its own task with it and nothing else."""

import os
import signal

from study.launch import run_tasks


def work(payload, report):
    report(payload)
    if payload == "raise":
        raise ValueError("as asked")
    if payload == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return payload * 2


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
