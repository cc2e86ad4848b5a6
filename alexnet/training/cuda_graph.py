"""Take the updates of a round, one of each training: one after another, or on a GPU all at once as one CUDA graph.

A small network's step on a GPU has two hundred operations. Each takes a few microseconds, and the CPU needs longer to start it.
In a replayed graph they start by themselves: on an H100, network A's step takes 0.53 ms instead of 2.88. Several networks, each
a branch of the graph, run in parallel: with 16 of ALEXNET_32, a step takes 340 us each, alone 667. The operations are the same
as alone, and so are the numbers.
"""

import sys
from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

import torch

from alexnet.errors import is_out_of_memory, without_held_memory

WARM_UP = 3
"""The number of updates before a training's first capture. In them, libraries create their handles and make their choices."""


class Updated(Protocol):
    """A training that takes part in a round."""

    how: str
    """How its last update was computed: "eager", "graph", or "eager: " and why no graph can hold it."""

    def update(self) -> None:
        """Take one step, on the device alone. Nothing in it waits for the device, and no tensor changes its address between
        steps."""

    def constants(self) -> Hashable:
        """Return what a captured step holds fixed, such as learning rates. The step is captured again when it changes."""

    def variant(self) -> Hashable:
        """Return what decides which kernels a step launches, such as which weights are frozen.

        The first launch of a kernel loads it, which is forbidden within a capture. So the step is warmed up again when this
        changes."""


Member = TypeVar("Member", bound=Updated)
Failed = list[tuple[Member, Exception]]


class Round(Protocol):
    """Updates each training once. Returns those that raised, with their errors; the others are updated."""

    def __call__(self, trainings: Sequence[Member]) -> Failed[Member]: ...


def rounds_on(device: str, graphs: bool = True) -> Round:
    """Return the way to take rounds on "cpu" or "cuda"."""
    return Graphed() if device == "cuda" and graphs else one_by_one


def one_by_one(trainings: Sequence[Member]) -> Failed[Member]:
    """Update each in turn: see `Round`."""
    failed = []
    for training in trainings:
        try:
            training.update()
        except Exception as error:
            failed.append((training, without_held_memory(error)))
    return failed


class Graphed:
    """Rounds as a CUDA graph. It is captured again when the trainings of a round or their constants change.

    If a training's step cannot be captured, a line on stderr says so, and that training is updated by itself from then on. The
    others stay in the graph. Running out of memory is not caught (see `errors.is_out_of_memory`), and leaves all trainings as
    they were before the round.
    """

    def __init__(self):
        self.streams: dict[Updated, torch.cuda.Stream] = {}
        self.free: list[torch.cuda.Stream] = []  # torch reuses the same 32 streams, even if they are in use
        self.warm: dict[Updated, tuple[Hashable, int]] = {}  # the variant of its last warm-up updates, and their number
        self.eager: set[Updated] = set()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.captured: tuple = ()
        self.captures = 0

    def __call__(self, trainings: Sequence[Member]) -> Failed[Member]:
        if any(self._warmed(training) < WARM_UP for training in trainings):
            return self._warm_up(trainings)
        wanted = tuple((training, training.constants()) for training in trainings)
        if wanted != self.captured:
            self._capture(trainings, wanted)
        failed = one_by_one([training for training in trainings if training in self.eager])
        if self.graph:
            self.graph.replay()
        return failed

    def _warmed(self, training: Updated) -> int:
        variant, updates = self.warm.get(training, (None, 0))
        return updates if variant == training.variant() else 0

    def _warm_up(self, trainings: Sequence[Member]) -> Failed[Member]:
        """Take real updates, each on the stream on which it will be captured."""
        self.forget(trainings)
        failed, main = [], torch.cuda.current_stream()
        for training in trainings:
            if training not in self.streams:
                self.streams[training] = self.free.pop() if self.free else torch.cuda.Stream()
            updates, variant = self._warmed(training) + 1, training.variant()
            stream = self.streams[training]
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                failed += one_by_one([training])
            main.wait_stream(stream)
            self.warm[training] = variant, updates
        return failed

    def _capture(self, trainings: Sequence[Updated], wanted: tuple) -> None:
        """Capture one graph of all trainings that can be captured. The others are in `eager` afterwards."""
        self.forget(trainings)
        torch.cuda.synchronize()
        while together := [training for training in trainings if training not in self.eager]:
            try:
                self.graph = self._graph_of(together)
                break
            except NotCaptured as failure:
                for training in failure.trainings:
                    self.eager.add(training)
                    training.how = f"eager: {failure.reason}"
                count = f"{len(failure.trainings)} runs continue" if len(failure.trainings) > 1 else "a run continues"
                print(f"{count} without CUDA graphs, which cannot hold its steps ({failure.reason})", file=sys.stderr)
        for training in together:
            training.how = "graph"
        self.captured, self.captures = wanted, self.captures + bool(together)

    def _graph_of(self, trainings: Sequence[Updated]) -> torch.cuda.CUDAGraph:
        """Capture these trainings. Raises NotCaptured, or the original error if memory ran out."""
        graph, before, under_way = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), list(trainings)
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads draw and copy meanwhile
                self._record(trainings, under_way)
        except Exception as error:
            torch.cuda.set_stream(before)  # torch before 2.12 stays on the stream of a capture that failed
            if is_out_of_memory(error):
                self.forget()  # nobody can free memory that is held here
                raise
            raise NotCaptured(under_way, error) from None
        return graph

    def _record(self, trainings: Sequence[Updated], under_way: list[Updated]) -> None:
        """Record the updates. If one fails, `under_way` then holds that training; if the capture fails as a whole, it holds
        all."""
        main, forked = torch.cuda.current_stream(), []
        try:
            for training in trainings:
                stream = self.streams[training]
                stream.wait_stream(main)
                forked.append(stream)
                under_way[:] = [training]
                with torch.cuda.stream(stream):
                    training.update()
            under_way[:] = trainings
        finally:  # otherwise the capture fails for an unjoined stream and hides the first error
            for stream in forked:
                main.wait_stream(stream)

    def forget(self, trainings: Sequence[Updated] = ()) -> None:
        """Drop the graph, and all trainings except these."""
        self.graph, self.captured = None, ()
        self.eager &= set(trainings)
        for training in self.warm.keys() - set(trainings):
            del self.warm[training]
        for training in self.streams.keys() - set(trainings):
            self.free.append(self.streams.pop(training))


class NotCaptured(Exception):
    """No graph can hold the steps of these trainings: the one whose step failed, or all if no single step failed."""

    def __init__(self, trainings: Sequence[Updated], error: Exception):
        self.trainings = tuple(trainings)
        self.reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        super().__init__(self.reason)
