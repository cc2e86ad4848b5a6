"""The updates of a round, one of each training: one after another, or on a GPU all at once as one CUDA graph.

A small network's step on a GPU is two hundred operations of a few microseconds, each started by the CPU in more: replayed as a
graph they start by themselves (on an H100 network A's step takes 0.53 ms, eager 2.88), and those of several networks, each a
branch of the graph, run beside one another (16 of ALEXNET_32 take 340 us each, alone 667). The operations are the same as
alone, so the numbers are too.
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

    how: str
    """How its last update was taken: "eager", "graph", or "eager: " and why no graph holds it."""

    def update(self) -> None:
        """One step, on its device alone: nothing in it waits for the device, or moves to other memory from step to step."""

    def constants(self) -> Hashable:
        """What a captured step holds fixed, such as learning rates: the step is captured anew when it changes."""

    def variant(self) -> Hashable:
        """What decides which kernels a step launches, such as which weights are frozen: one that was never launched is loaded
        by its first launch, which is forbidden within a capture. So the step is warmed up anew when it changes."""


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

    A training whose step cannot be captured is updated by itself from then on, which one line on stderr says; the others stay
    in the graph. Running out of memory is not caught (see `errors.is_out_of_memory`) and leaves all trainings as they were
    before the round.
    """

    def __init__(self):
        self.streams: dict[Updated, torch.cuda.Stream] = {}
        self.free: list[torch.cuda.Stream] = []  # torch gives out the same 32 again and again, in use or not
        self.warm: dict[Updated, tuple[Hashable, int]] = {}  # the variant of its last warm-up updates, and how many they were
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
        """Real updates, each on the stream on which it will be captured."""
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
        """One graph of all that can be captured; those that cannot are in `eager` afterwards."""
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
                count = f"{len(failure.trainings)} runs go on" if len(failure.trainings) > 1 else "a run goes on"
                print(f"{count} without CUDA graphs, which cannot hold its steps ({failure.reason})", file=sys.stderr)
        for training in together:
            training.how = "graph"
        self.captured, self.captures = wanted, self.captures + bool(together)

    def _graph_of(self, trainings: Sequence[Updated]) -> torch.cuda.CUDAGraph:
        """Raises NotCaptured, and what says that memory ran out."""
        graph, before, under_way = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), list(trainings)
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads draw and copy meanwhile
                self._record(trainings, under_way)
        except Exception as error:
            torch.cuda.set_stream(before)  # torch before 2.12 stays on the stream of a capture that failed
            if is_out_of_memory(error):
                self.forget()  # whoever is to make room cannot while its memory is held here
                raise
            raise NotCaptured(under_way, error) from None
        return graph

    def _record(self, trainings: Sequence[Updated], under_way: list[Updated]) -> None:
        """`under_way` then holds the one whose update failed, or all where the capture fails as a whole."""
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
        finally:  # a capture that ends with a stream apart fails for that, whatever went wrong before
            for stream in forked:
                main.wait_stream(stream)

    def forget(self, trainings: Sequence[Updated] = ()) -> None:
        """Let go of the graph, and of all trainings but these."""
        self.graph, self.captured = None, ()
        self.eager &= set(trainings)
        for training in self.warm.keys() - set(trainings):
            del self.warm[training]
        for training in self.streams.keys() - set(trainings):
            self.free.append(self.streams.pop(training))


class NotCaptured(Exception):
    """No graph holds the steps of these trainings: of the one whose step failed, or of all where none did by itself."""

    def __init__(self, trainings: Sequence[Updated], error: Exception):
        self.trainings = tuple(trainings)
        self.reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        super().__init__(self.reason)
