"""Two commits told apart by turns: the interval of the ratio, and whose turn is whose."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import two_commits


def test_the_interval_covers_the_true_ratio_as_often_as_it_says(monkeypatch):
    """200 times 60 pairs of which one is 2% slower, with noise of 5% and in every tenth turn a spike, as of other work."""
    monkeypatch.setattr(two_commits, "RESAMPLES", 400)
    random, covered = np.random.default_rng(5), 0
    for _ in range(200):
        old, new = random.lognormal(0, 0.05, (2, 60)) * np.where(random.random((2, 60)) < 0.1, 1.5, 1.0)
        _, lower, upper = two_commits.median_ratio(1.02 * new, old)
        covered += lower <= 1.02 <= upper
    assert 0.90 <= covered / 200 <= 0.99


@pytest.fixture
def codes(monkeypatch) -> list:
    """Stand-ins of processes: each takes the seconds of its folder's name for a step, and notes its turns."""
    turns = []

    class Code:
        def __init__(self, folder: Path, recipe: str):
            self.name, self.seconds_a_step = folder.name, float(folder.name)

        def seconds(self, steps: int) -> float:
            turns.append((self.name, steps))
            return steps * self.seconds_a_step

        def end(self) -> None:
            turns.append((self.name, 0))

    monkeypatch.setattr(two_commits, "Code", Code)
    return turns


def test_each_has_a_turn_a_round_in_an_order_that_is_not_always_the_same(codes):
    measured = two_commits.in_turn([Path("0.1"), Path("0.2"), Path("0.15")], "ALEXNET_32", rounds=40, seconds=60)
    assert measured == [pytest.approx([0.1, 0.2, 0.15])] * 40
    rounds = [codes[i : i + 3] for i in range(6, len(codes) - 3, 3)]  # after a round to warm up and one to measure
    assert len(rounds) == 40 and all({name for name, _ in one} == {"0.1", "0.2", "0.15"} for one in rounds)
    assert {steps for one in rounds for _, steps in one} == {2}  # 0.3 seconds at 0.15 a step
    assert len({tuple(name for name, _ in one) for one in rounds}) == 6  # every order comes up
    assert codes[-3:] == [("0.1", 0), ("0.2", 0), ("0.15", 0)]
