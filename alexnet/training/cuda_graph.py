"""The updates of a round, one of each training: one after another, or on a GPU all at once as one CUDA graph.

A small network's step on a GPU is a hundred operations of a few microseconds, each started by the CPU in as many: replayed as a
graph they start by themselves, and those of several networks, each a branch of the graph, run beside one another. The
operations are the same as alone, so the numbers are too.
"""

import sys
from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

import torch

from alexnet.errors import is_out_of_memory, let_go

WARM_UP = 3
"""So many updates of a training come before its first one is captured: libraries make their handles and choices in them."""


class Updated(Protocol):
    """What takes part in a round."""

    def update(self) -> None:
        """One step, on its device alone: nothing in it waits for the device, or moves to other memory from step to step."""

    def constants(self) -> Hashable:
        """What a captured step holds fixed, such as learning rates: the step is captured anew when it changes."""


Member = TypeVar("Member", bound=Updated)
Failed = list[tuple[Member, Exception]]


class Round(Protocol):
    """Updates each of some trainings once. Returns those that raised, with what they raised; the others are updated."""

    def __call__(self, trainings: Sequence[Member]) -> Failed[Member]: ...


def rounds_on(device: str, graphs: bool = True) -> Round:
    """The way to take rounds on "cpu" or "cuda"."""
    return Graphed() if device == "cuda" and graphs else one_by_one


def one_by_one(trainings: Sequence[Member]) -> Failed[Member]:
    """Update each in turn: see `Round`."""
    failed = []
    for training in trainings:
        try:
            training.update()
        except Exception as error:
            failed.append((training, let_go(error)))
    return failed


class Graphed:
    """Rounds as a CUDA graph, captured again whenever the trainings of a round or their constants are others.

    Where a step cannot be captured, one line on stderr says why, once, and they are updated one by one from then on. Running
    out of memory is not caught (see `errors.is_out_of_memory`) and leaves all trainings as they were before the round.
    """

    def __init__(self):
        self.streams: dict[Updated, torch.cuda.Stream] = {}
        self.free: list[torch.cuda.Stream] = []  # torch gives out the same 32 again and again, in use or not
        self.warm: dict[Updated, int] = {}
        self.graph: torch.cuda.CUDAGraph | None = None
        self.captured: tuple = ()
        self.possible = True
        self.captures = 0

    def __call__(self, trainings: Sequence[Member]) -> Failed[Member]:
        if not self.possible:
            return one_by_one(trainings)
        if any(self.warm.get(training, 0) < WARM_UP for training in trainings):
            return self._warm_up(trainings)
        wanted = tuple((training, training.constants()) for training in trainings)
        if wanted != self.captured:
            self._capture(trainings, wanted)
        if self.graph is None:  # it cannot be
            return one_by_one(trainings)
        self.graph.replay()
        return []

    def _warm_up(self, trainings: Sequence[Member]) -> Failed[Member]:
        """Real updates, each on the stream on which it will be captured."""
        self.forget(trainings)
        failed, main = [], torch.cuda.current_stream()
        for training in trainings:
            if training not in self.streams:
                self.streams[training] = self.free.pop() if self.free else torch.cuda.Stream()
            stream = self.streams[training]
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                failed += one_by_one([training])
            main.wait_stream(stream)
            self.warm[training] = self.warm.get(training, 0) + 1
        return failed

    def _capture(self, trainings: Sequence[Updated], wanted: tuple) -> None:
        self.forget(trainings)
        torch.cuda.synchronize()
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads draw and copy meanwhile
                self._record(trainings)
        except Exception as error:
            torch.cuda.set_stream(before)  # torch before 2.12 stays on the stream of a capture that failed
            if is_out_of_memory(error):
                self.forget()  # whoever is to make room cannot while its memory is held here
                raise
            self.possible = False
            reason = (str(error).strip().splitlines() or [""])[0]
            print(f"without CUDA graphs, which cannot hold these steps ({type(error).__name__}: {reason})", file=sys.stderr)
            return
        self.graph, self.captured, self.captures = graph, wanted, self.captures + 1

    def _record(self, trainings: Sequence[Updated]) -> None:
        main, forked = torch.cuda.current_stream(), []
        try:
            for training in trainings:
                stream = self.streams[training]
                stream.wait_stream(main)
                forked.append(stream)
                with torch.cuda.stream(stream):
                    training.update()
        finally:  # a capture that ends with a stream apart fails for that, whatever went wrong before
            for stream in forked:
                main.wait_stream(stream)

    def forget(self, trainings: Sequence[Updated] = ()) -> None:
        """Let go of the graph, and of all trainings but these."""
        self.graph, self.captured = None, ()
        for training in self.warm.keys() - set(trainings):
            del self.warm[training]
        for training in self.streams.keys() - set(trainings):
            self.free.append(self.streams.pop(training))
