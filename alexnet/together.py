"""Several runs in one process, side by side: each takes a step, then each the next. On a GPU such a round is one graph.

Runs share nothing but the processor: each has its seed, order, rates and recipe, and what it trains among others is what it trains
alone. One that ends makes room for the next; one that fails leaves the others as they are.
"""

import gc
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import torch

from alexnet.graphs import Round
from alexnet.spool import STOP
from alexnet.train import Training

Run = Generator[Training, None, Any]
"""Gives a training each time that an update of it is due, and in the end returns what has come of it."""


def side_by_side(runs: Iterable[Callable[[], Run]], at_once: int, take_round: Round) -> Iterator[tuple[int, Any]]:
    """Take `runs` to their ends, at most `at_once` at a time, begun in their order.

    Gives (position, what the run returned, or the exception that it raised) as each ends. Where memory runs out there are half
    as many at a time from then on: those set aside are begun again later, from their last checkpoint; a run that is alone and
    still does not fit is lost. Asked to stop (SIGTERM), begins no more.
    """
    waiting = deque(enumerate(runs))
    going: dict[int, tuple[Run, Callable[[], Run]]] = {}

    def set_aside(error: Exception, first: int) -> Iterator[tuple[int, Any]]:
        """Make room: `first`, for which memory did not suffice, and half of the others wait; alone, it is lost."""
        nonlocal at_once
        if len(going) == 1:
            going.pop(first)[0].close()
            yield first, error
        else:
            at_once = max(1, len(going) // 2)
            aside = [first, *sorted((p for p in going if p != first), reverse=True)][: len(going) - at_once]
            for position in sorted(aside, reverse=True):
                run, begin = going.pop(position)
                run.close()
                waiting.appendleft((position, begin))
            print(f"out of memory: {at_once} runs at a time from here on", file=sys.stderr)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    while True:
        while len(going) < at_once and waiting and not STOP.is_set():
            position, begin = waiting.popleft()
            going[position] = begin(), begin
        if not going:
            return
        due: dict[Training, int] = {}
        for position, (run, _) in list(going.items()):
            if position not in going:  # set aside for the sake of one before it
                continue
            try:
                due[next(run)] = position
            except StopIteration as end:
                del going[position]
                yield position, end.value
            except torch.OutOfMemoryError as error:
                yield from set_aside(error, position)
            except Exception as error:
                del going[position]
                yield position, error
        due = {training: position for training, position in due.items() if position in going}
        if not due:
            continue
        try:
            failed = take_round(list(due))
        except torch.OutOfMemoryError as error:  # of a capture: no training has moved
            yield from set_aside(error, max(due.values()))
            continue
        for training, error in failed:
            position = due[training]
            if isinstance(error, torch.OutOfMemoryError):
                yield from set_aside(error, position)
            elif position in going:
                going.pop(position)[0].close()
                yield position, error
