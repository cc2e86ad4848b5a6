"""benchmarks/: the tables show exactly the results they are given."""

import pytest
import torch

from alexnet import AlexNet
from alexnet.recipe import ALEXNET_32, changed
from benchmarks import __main__ as program
from benchmarks.__main__ import put
from benchmarks.figure_1 import RESULTS, committed
from benchmarks.goals import GOALS, goals_table, number
from benchmarks.worker import plain

RATIO = {"what": "a thing", "case": "bf16", "ratio": 3.04, "least": 2.0, "most": 4.0}


def test_a_goal_tells_every_row_that_names_it_and_no_other():
    found = [
        {
            "machine": "M",
            "when": "2026-11-26",
            "rows": [{**RATIO, "goal": 1}, {**RATIO, "ratio": 9.0}, {**RATIO, "ratio": 5.0, "goal": 1}],
        }
    ]
    _, _, first, *others = goals_table(found)
    assert "**3.0x** a thing, bf16 (M, 2026-11-26)<br>**5.0x**" in first and "9.0" not in first
    assert len(others) == len(GOALS) - 1 and all("| not measured |" in line for line in others)


def test_each_kind_of_row_is_told_in_its_own_words():
    rows = [
        ({**RATIO, "over_floor": 1.83}, "3.0x; 1.8x its floor"),
        ({**RATIO, "share_of_floor": 0.457}, "3.0x; 46% of its floor's pace"),
        ({"share": 0.114}, "11%"),
        ({"equal": 7, "of": 8}, "7 of 8"),
        ({"minutes": 0.456}, "0.456 min"),
    ]
    assert [number(row) for row, _ in rows] == [words for _, words in rows]


def test_rendering_twice_is_rendering_once():
    page = "head\n<!-- x: python -m benchmarks -->\nold\n<!-- end of x -->\ntail\n"
    once = put(page, "x", ["| new |"])
    assert "old" not in once and once.startswith("head\n") and once.endswith("\ntail\n") and put(once, "x", ["| new |"]) == once


def test_figure_1_counts_the_updates_of_three_seeds_under_both_treatments():
    """By hand from results/runs.csv: 6, 6, 7 and 5, 5, 5 epochs of 390 updates; 39, 42, 41 and 7, 8, 9."""
    found = committed(RESULTS)
    assert (found["relu"], found["tanh"]) == (390 * (6 + 6 + 7 + 5 + 5 + 5), 390 * (39 + 42 + 41 + 7 + 8 + 9))
    assert (
        found["epochs"] == (found["relu"] + found["tanh"]) / 390
        and found["runs"] == 12
        and 24 < found["seen"] / 50_000 < found["epochs"] / 3
    )


@pytest.mark.parametrize("order", ["activation-norm-pool", "activation-pool-norm", "norm-pool-activation"])
def test_the_network_as_one_writes_it_today_computes_what_ours_does(order):
    """Without dropout, of which the two have the halving in other places."""
    diff = {f"model.layers.{at}.order": order for at in (0, 1)} | {f"model.layers.{at}.dropout": 0.0 for at in (5, 6)}
    # Alpha a thousand times as large, so that a normalization without its ReLU is seen in the logits.
    model = changed(ALEXNET_32, {**diff, "model.cross_map_norm.alpha": 0.1}).model
    images = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1)) * 50
    with torch.no_grad():
        ours, theirs = (network.eval()(images) for network in (AlexNet(model, 0), plain(AlexNet(model, 0))))
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-3 * float(ours.abs().max()))


@pytest.mark.parametrize("name", program.ON_LINUX)
def test_what_needs_linux_says_so_on_a_mac_and_measures_nothing(name, monkeypatch, capsys):
    monkeypatch.setattr(program, "IS_MAC", True)
    monkeypatch.setattr(program, "_start_again", lambda: None)
    monkeypatch.setattr(f"benchmarks.{name}.measure", lambda device: pytest.fail("measured"))
    program.run([name], "cpu")
    assert capsys.readouterr().out == f"{name}: not measured, it needs Linux\n"
