"""Train several runs side by side in one process: each takes one step, then each takes the next. On a GPU a round is one graph.

Runs share only the processor. Each has its own seed, order, rates and recipe, and trains the same network as it would alone. A
run that ends makes room for the next. A run that fails does not affect the others."""

import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import torch

from alexnet.errors import is_out_of_memory, without_held_memory
from alexnet.training.cuda_graph import Graphed, Round
from alexnet.training.loop import Training

Steps = Generator[Training, None, Any]
"""Yields a training each time its update is due, and finally returns the run's result."""


def to_its_end(run: Steps, take_round: Round) -> Any:
    """Take a run through its steps alone and return its result. Raises any error of the run."""
    while True:
        try:
            training = next(run)
        except StopIteration as end:
            return end.value
        for _, error in take_round([training]):
            run.close()
            raise error


def side_by_side(
    runs: Iterable[Callable[[], Steps]], at_once: int, take_round: Round, stop: threading.Event | None = None
) -> Iterator[tuple[int, Any]]:
    """Take `runs` to their ends, at most `at_once` at a time. They begin in order.

    Yields (position, the run's result or the exception that it raised) as each ends. If memory runs out, half as many run at a
    time from then on. The runs set aside begin again later, from their last checkpoint. A run that does not fit even alone is
    lost: its error is yielded. Once `stop` is set, no more runs begin.
    """
    yield from _Runs(runs, at_once, take_round, stop).ended()


class _Runs:
    """The waiting and the active runs of `side_by_side`."""

    def __init__(self, runs: Iterable[Callable[[], Steps]], at_once: int, take_round: Round, stop: threading.Event | None):
        self.waiting = deque(enumerate(runs))
        self.at_once, self.take_round, self.stop = at_once, take_round, stop
        self.going: dict[int, tuple[Steps, Callable[[], Steps]]] = {}
        self.due: dict[Training, int] = {}  # those not yet updated in this round

    def ended(self) -> Iterator[tuple[int, Any]]:
        """Yield the position and the result of each run as it ends."""
        while True:
            self._begin()
            if not self.going:
                return
            yield from self._to_their_updates()
            if self.due:
                yield from self._updated()

    def _begin(self) -> None:
        while len(self.going) < self.at_once and self.waiting and not (self.stop and self.stop.is_set()):
            position, begin = self.waiting.popleft()
            self.going[position] = begin(), begin

    def _to_their_updates(self) -> Iterator[tuple[int, Any]]:
        """Advance each run to its next update, or to its end."""
        for position in [p for p in self.going if p not in self.due.values()]:
            if position not in self.going:  # set aside to make room for one before it
                continue
            try:
                self.due[next(self.going[position][0])] = position
            except StopIteration as end:
                del self.going[position]
                yield position, end.value
            except Exception as error:
                if is_out_of_memory(error):
                    yield from self._make_room(without_held_memory(error), position)
                else:
                    del self.going[position]
                    yield position, error

    def _updated(self) -> Iterator[tuple[int, Any]]:
        """Take the updates that are due, as one round."""
        try:
            failed = self.take_round(list(self.due))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            # A capture ran out of memory: no training was updated, and those that stay are still due.
            yield from self._make_room(without_held_memory(error), max(self.due.values()))
            return
        failed = [(self.due[training], error) for training, error in failed]
        self.due.clear()
        for position, error in failed:
            if position not in self.going:
                continue
            if is_out_of_memory(error):
                yield from self._make_room(error, position)
            else:
                self._drop(position)
                yield position, error

    def _drop(self, position: int) -> Callable[[], Steps]:
        run, begin = self.going.pop(position)
        run.close()
        for training in [training for training, p in self.due.items() if p == position]:
            del self.due[training]
        return begin

    def _make_room(self, error: Exception, first: int) -> Iterator[tuple[int, Any]]:
        """Set aside `first`, for which memory ran out, and others, so that half of the runs go on. If `first` is alone, it is
        lost."""
        if len(self.going) == 1:
            self._drop(first)
            yield first, error
        else:
            self.at_once = max(1, len(self.going) // 2)
            others = sorted((p for p in self.going if p != first), reverse=True)
            aside = [first, *others][: len(self.going) - self.at_once]
            self.waiting.extendleft((position, self._drop(position)) for position in sorted(aside, reverse=True))
            print(f"out of memory: {self.at_once} runs at a time from here on", file=sys.stderr)
        if isinstance(self.take_round, Graphed):
            self.take_round.forget()  # it still holds the dropped runs
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
