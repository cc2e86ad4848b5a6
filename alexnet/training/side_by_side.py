"""Several runs in one process, side by side: each takes a step, then each the next. On a GPU such a round is one graph.

Runs share nothing but the processor: each has its seed, order, rates and recipe, and what it trains among others is what it
trains alone. One that ends makes room for the next; one that fails leaves the others as they are."""

import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import torch

from alexnet.errors import is_out_of_memory, let_go
from alexnet.training.cuda_graph import Graphed, Round
from alexnet.training.loop import Training

Run = Generator[Training, None, Any]
"""Gives a training each time that an update of it is due, and in the end returns what has come of it."""


def to_its_end(run: Run, take_round: Round) -> Any:
    """What a run returns, taken through its steps alone. Raises what it raises."""
    while True:
        try:
            training = next(run)
        except StopIteration as end:
            return end.value
        for _, error in take_round([training]):
            run.close()
            raise error


def side_by_side(
    runs: Iterable[Callable[[], Run]], at_once: int, take_round: Round, stop: threading.Event | None = None
) -> Iterator[tuple[int, Any]]:
    """Take `runs` to their ends, at most `at_once` at a time, begun in their order.

    Gives (position, what the run returned, or the exception that it raised) as each ends. Where memory runs out there are half
    as many at a time from then on: those set aside are begun again later, from their last checkpoint; a run that is alone and
    still does not fit is lost. Once `stop` is set no more are begun.
    """
    waiting = deque(enumerate(runs))
    going: dict[int, tuple[Run, Callable[[], Run]]] = {}
    due: dict[Training, int] = {}  # those whose update of this round is not taken yet

    def drop(position: int) -> Callable[[], Run]:
        run, begin = going.pop(position)
        run.close()
        for training in [training for training, p in due.items() if p == position]:
            del due[training]
        return begin

    def make_room(error: Exception, first: int) -> Iterator[tuple[int, Any]]:
        """`first`, for which memory did not suffice, and half of the others wait; alone, it is lost."""
        nonlocal at_once
        if len(going) == 1:
            drop(first)
            yield first, error
        else:
            at_once = max(1, len(going) // 2)
            aside = [first, *sorted((p for p in going if p != first), reverse=True)][: len(going) - at_once]
            waiting.extendleft((position, drop(position)) for position in sorted(aside, reverse=True))
            print(f"out of memory: {at_once} runs at a time from here on", file=sys.stderr)
        if isinstance(take_round, Graphed):
            take_round.forget()  # it holds those that were dropped
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    while True:
        while len(going) < at_once and waiting and not (stop and stop.is_set()):
            position, begin = waiting.popleft()
            going[position] = begin(), begin
        if not going:
            return
        for position in [p for p in going if p not in due.values()]:
            if position not in going:  # set aside for the sake of one before it
                continue
            try:
                due[next(going[position][0])] = position
            except StopIteration as end:
                del going[position]
                yield position, end.value
            except Exception as error:
                if is_out_of_memory(error):
                    yield from make_room(let_go(error), position)
                else:
                    del going[position]
                    yield position, error
        if not due:
            continue
        try:
            failed = take_round(list(due))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            # Of a capture: no training has moved, and those that stay are still due.
            yield from make_room(let_go(error), max(due.values()))
            continue
        failed = [(due[training], error) for training, error in failed]
        due.clear()
        for position, error in failed:
            if position not in going:
                continue
            if is_out_of_memory(error):
                yield from make_room(error, position)
            else:
                drop(position)
                yield position, error
