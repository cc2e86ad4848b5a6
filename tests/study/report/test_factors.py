"""study/report/figures/factors.py: how many times as long each arm takes, for all bases in one picture."""

import numpy as np
import pytest
from made_up_findings import MadeUp, found
from matplotlib.axes import Axes

from study.report.figures.factors import factors

RELU = [5.0, 5.5, 6.0, 5.2, 5.8]


def on(base: str, tanh=(30.0, 33.0, 36.0), relu=RELU, **more) -> MadeUp:
    return found("relu_sooner", tanh, control=relu, base=base, **more)


def points(axis: Axes, row: int) -> list[float]:
    """Return the ratios drawn in a row, from top to bottom."""
    middle, bounds = axis.get_yticks()[row], np.diff([0, *axis.get_yticks()])
    near = [line for line in axis.lines if len(line.get_xdata()) == 1 and abs(line.get_ydata()[0] - middle) < bounds[row] / 2]
    return [float(line.get_xdata()[0]) for line in sorted(near, key=lambda line: line.get_ydata()[0])]


def test_a_ratio_stands_where_the_geometric_means_of_the_times_say():
    (axis,) = factors([on("A-2012", relu=[5.0] * 5), on("B-2012", [10.0, 11.0, 12.0], [5.0] * 5)]).axes
    assert points(axis, 0)[0] == pytest.approx((30 * 33 * 36) ** (1 / 3) / 5)
    assert points(axis, 1)[0] == pytest.approx((10 * 11 * 12) ** (1 / 3) / 5)


def test_rows_are_in_the_order_of_the_claim_whatever_the_order_of_the_findings():
    bases = ["C-today", "A-today", "A-2012-standardized", "B-2012", "A-2012"]
    (axis,) = factors([on(base) for base in bases]).axes
    shown = [label.get_text() for label in axis.get_yticklabels()]
    assert shown == ["A-2012", "B-2012", "A-2012-standardized", "A-today", "C-today"]


def test_the_paper_s_number_is_on_the_axis_even_where_no_ratio_comes_near_it():
    low = [5.1, 5.6, 6.1]
    (axis,) = factors([on("A-2012", low), on("A-today", low)]).axes
    assert axis.get_xlim()[0] < 1 < 6 < axis.get_xlim()[1]
    assert 6.0 in {float(line.get_xdata()[0]) for line in axis.lines if len(set(line.get_xdata())) == 1}


def test_a_ratio_whose_runs_never_arrived_has_an_arrow_and_no_upper_end():
    (axis,) = factors([on("A-2012", [None, 33.0, 36.0]), on("A-today")]).axes
    assert {line.get_marker() for line in axis.lines} >= {">"}
    assert any(text.get_text().startswith("at least x") for text in axis.texts)


@pytest.mark.parametrize("others", [[], [on("A-today", [None] * 3, [None] * 5)]])
def test_one_base_alone_has_no_such_picture(others):
    assert factors([on("A-2012"), *others]) is None
