"""tools/compare_plain.py: the table that sets runs of the second program beside the study's, and its rule."""

import json

import numpy as np
import pytest
from scipy import stats

from alexnet.errors import Refused
from tools import compare_plain
from tools.compare_plain import add_runs, difference, outcome


@pytest.mark.parametrize(
    ("of_90", "of_95", "words"),
    [
        ((-0.3, 0.5), (-0.4, 0.6), "agree"),
        ((0.1, 0.5), (0.05, 0.6), "agree and differ"),
        ((0.3, 1.1), (0.2, 1.2), "differ"),
        ((-0.1, 1.1), (-0.2, 1.2), "open"),
        ((-1.1, 0.1), (-1.2, 0.2), "open"),
        ((-0.9, -0.1), (-1.0, 0.0), "agree"),
    ],
)
def test_two_programs_agree_within_a_point_and_differ_where_zero_is_left_out(of_90, of_95, words):
    assert outcome(of_90, of_95) == words


def test_the_interval_is_welchs_by_hand():
    first, second = [40.0, 40.5, 39.5, 40.2], [41.0, 40.0, 40.9]
    parts = [np.var(values, ddof=1) / len(values) for values in (second, first)]
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(sum(parts))
    estimate, _, of_95 = difference(second, first)
    assert of_95 == pytest.approx((estimate - half, estimate + half))


@pytest.mark.slow
def test_the_page_has_the_table_of_the_committed_runs():
    page = (compare_plain.ROOT / "docs" / "checked-twice.md").read_text()
    assert "\n".join(compare_plain.table_lines()) in page


def test_results_of_another_regime_are_not_added(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_plain, "RUNS", tmp_path / "runs.csv")
    settings = {"train_images": 2500, "epochs": 12, "seed": 0, "without_norm": False, "precision": "bf16"}
    (tmp_path / "0.json").write_text(json.dumps({"settings": settings}))
    with pytest.raises(Refused, match="another regime"):
        add_runs(tmp_path)
    assert not (tmp_path / "runs.csv").exists()
