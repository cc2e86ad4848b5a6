"""Time several ways to do one thing, in turn, so that a busy machine slows all of them equally."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int = 5, device: str = "cpu") -> dict[str, list[float]]:
    """Return the seconds of each way in `rounds` rounds, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            started = now(device)
            way()
            took = now(device) - started
            if turn:
                seconds[name].append(took)
    return seconds


def ratio(baseline: list[float], ours: list[float]) -> dict[str, float]:
    """Return how many times faster ours is: the ratio of the medians, and the least and largest ratio of a round."""
    pairs = [b / o for b, o in zip(baseline, ours, strict=True)]
    return {"ratio": statistics.median(baseline) / statistics.median(ours), "least": min(pairs), "most": max(pairs)}


def now(device: str) -> float:
    """Return the time in seconds, once the device has done all that was asked of it."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()
