"""The queue: a loop over the events of an executor, which is made up here."""

from pathlib import Path

import pytest
from helpers import made_up_result, small_run
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.machine import Machine
from alexnet.training.checkpoint import Interrupted
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.run.executors.base import Done, Lost, Message, died
from study.run.lease import Lease
from study.run.one_run import Place
from study.run.queue import (
    FewerAtATime,
    RunDone,
    RunElsewhere,
    RunLost,
    RunPoint,
    cheapest_first,
    how_it_ended,
    in_order,
    work_off,
)
from study.run.run_folder import state_of_run
from study.run.stop import STOP

PLANNED_RUNS = [small_run(seed) for seed in range(12)]
MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=4)


class MadeUp:
    """An executor that answers each task by `answer(planned, jobs)`: a reason for which it is lost, or a result, or None."""

    in_steps = False

    def __init__(self, answer):
        self.answer, self.passes, self.is_closed = answer, [], False

    def run(self, tasks, jobs):
        self.passes.append((len(tasks), jobs))
        try:
            for position, task in enumerate(tasks):
                answer = self.answer(task.subject, jobs)
                if isinstance(answer, str):
                    yield Lost(position, answer)
                    continue
                if answer:
                    yield Message(position, answer.points[0])
                yield Done(position, answer)
        finally:
            self.is_closed = True


def place_in(folder: Path) -> Place:
    return Place(MACHINE, folder, folder / "spool")


def test_every_point_and_result_comes_with_its_run(tmp_path):
    events = list(work_off(PLANNED_RUNS[:3], place_in(tmp_path), MadeUp(lambda planned, jobs: made_up_result(planned))))
    results = [made_up_result(planned) for planned in PLANNED_RUNS[:3]]
    expected = [
        (RunPoint(planned, result.points[0]), RunDone(planned, result)) for planned, result in zip(PLANNED_RUNS, results)
    ]
    assert events == [event for pair in expected for event in pair]


def test_runs_without_memory_are_tried_half_as_many_at_a_time_and_alone_they_are_lost(tmp_path):
    executor = MadeUp(lambda planned, jobs: "MemoryError: made up" if planned.seed < jobs else made_up_result(planned))
    events = list(work_off(PLANNED_RUNS[:6], place_in(tmp_path), executor))
    assert executor.passes == [(6, 4), (4, 2), (2, 1)]
    fewer = [event for event in events if isinstance(event, FewerAtATime)]
    assert fewer == [FewerAtATime(PLANNED_RUNS[:4], 2), FewerAtATime(PLANNED_RUNS[:2], 1)]
    assert [event.planned.seed for event in events if isinstance(event, RunDone)] == [4, 5, 2, 3, 1]
    lost = [event for event in events if isinstance(event, RunLost)]
    assert {event.outcome for event in lost} == {"out of memory"} and lost[-1].planned is PLANNED_RUNS[0]


def test_a_lost_run_tells_its_folder_how_it_ended(tmp_path):
    place = place_in(tmp_path)
    folder = place.spool_dir / PLANNED_RUNS[0].key
    folder.mkdir(parents=True)
    (lost,) = work_off(PLANNED_RUNS[:1], place, MadeUp(lambda planned, jobs: "ValueError: as asked"))
    assert lost == RunLost(PLANNED_RUNS[0], "failed", "ValueError: as asked")
    assert (state_of_run(folder).state, state_of_run(folder).why) == ("failed", "ValueError: as asked")


def test_a_run_that_another_process_trains_is_taken_up_when_that_one_lets_go(tmp_path):
    place = place_in(tmp_path)
    lease = Lease(place.spool_dir / PLANNED_RUNS[0].key)
    executor = MadeUp(lambda planned, jobs: made_up_result(planned) if len(executor.passes) > 1 else None)
    events = work_off(PLANNED_RUNS[:1], place, executor)
    with lease:
        assert next(events) == RunElsewhere(PLANNED_RUNS[0])
    assert [type(event) for event in events] == [RunPoint, RunDone] and executor.passes == [(1, 1), (1, 1)]


def test_asked_to_stop_it_waits_no_longer_for_another_process(tmp_path):
    place = place_in(tmp_path)
    with Lease(place.spool_dir / PLANNED_RUNS[0].key), pytest.raises(Interrupted):
        STOP.set()
        try:
            list(work_off(PLANNED_RUNS[:1], place, MadeUp(lambda planned, jobs: None)))
        finally:
            STOP.clear()


def test_closing_it_closes_the_executor(tmp_path):
    executor = MadeUp(lambda planned, jobs: made_up_result(planned))
    events = work_off(PLANNED_RUNS, place_in(tmp_path), executor)
    next(events)
    assert not executor.is_closed
    events.close()
    assert executor.is_closed


@pytest.mark.parametrize(
    ("lost", "outcome"),
    [
        (Lost(0, "OutOfMemoryError: CUDA out of memory"), "out of memory"),
        (died(0, -9), "out of memory"),
        (died(0, 1), "interrupted"),
        (Lost(0, "LeaseLost: another process took it over"), "interrupted"),
        (Lost(0, "ValueError: as asked"), "failed"),
        (Lost(0, "ValueError: its process ended with code -9"), "failed"),  # an error that quotes another's end
    ],
)
def test_how_a_lost_run_ended_is_read_off_its_exit_code_or_its_error(lost, outcome):
    assert how_it_ended(lost)[0] == outcome and how_it_ended(lost)[1].startswith(lost.reason)


# ---- In which order --------------------------------------------------------------------------------------------------

plans_of_runs = st.lists(
    st.lists(st.sampled_from(PLANNED_RUNS), max_size=6, unique_by=lambda planned: planned.seed), max_size=5
)
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def of_seeds(*seeds: int) -> list:
    return [PLANNED_RUNS[seed] for seed in seeds]


def test_the_cheapest_plan_comes_first_and_shared_runs_make_the_next_one_cheaper():
    expensive, cheap, sharing = of_seeds(0, 1, 2, 3), of_seeds(4, 5, 6), of_seeds(6, 5, 4, 7)
    # 4, 3 and 4 runs; after the second, the third lacks one alone.
    assert cheapest_first([expensive, cheap, sharing], len) == [*cheap, PLANNED_RUNS[7], *expensive]


def test_plans_that_cost_the_same_stay_in_their_order():
    assert cheapest_first([of_seeds(3, 2), of_seeds(1, 0)], len) == of_seeds(3, 2, 1, 0)


@few_examples
@given(plans_of_runs)
def test_every_run_of_every_plan_is_there_once(plans):
    keys = [planned.key for planned in cheapest_first(plans, len)]
    assert sorted(keys) == sorted({planned.key for plan in plans for planned in plan})


@few_examples
@given(plans_of_runs, st.lists(st.integers(0, 9), min_size=12, max_size=12))
def test_no_order_of_plans_takes_a_cheaper_next_one(plans, costs):
    """Replayed: the runs come in stretches, each the missing runs of one plan in its order, and none left cost less."""

    def cost(planned_runs) -> int:
        return sum(costs[planned.seed] for planned in planned_runs)

    order, had, left = cheapest_first(plans, cost), [], list(plans)
    while left:
        missing = [[planned for planned in plan if planned not in had] for plan in left]
        cheapest = min(map(cost, missing))
        fits = [
            i
            for i, planned_runs in enumerate(missing)
            if cost(planned_runs) == cheapest and order[len(had) :][: len(planned_runs)] == planned_runs
        ]
        assert fits
        had += missing[fits[0]]
        del left[fits[0]]
    assert had == order


def test_after_the_first_seed_of_each_arm_the_longest_runs_start_first(tuned_folder):
    planned_runs = make_plan("relu_sooner", "shapes", "f" * 12, Tuned.read(tuned_folder), seeds=3)
    expected = [40.0 if (planned.base, planned.arm) == ("A-2012", "tanh") else 5.0 for planned in planned_runs]
    ordered = in_order(planned_runs, expected)
    assert sorted(c.key for c in ordered) == sorted(c.key for c in planned_runs)
    assert [c.seed for c in ordered[:4]] == [0] * 4 and ordered[:2] == planned_runs[:2]
    assert [(c.base, c.arm, c.seed) for c in ordered[4:6]] == [("A-2012", "tanh", 1), ("A-2012", "tanh", 2)]
