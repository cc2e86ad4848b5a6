"""The paper's own tables, with our numbers next to the printed ones."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from study.counted import counted
from study.judge.family import Finding
from study.judge.intervals import mean_interval
from study.questions.measures import Averaged, Measure
from study.record.tables import TEST_COLUMNS


@singledispatch
def paper_tables(measure: Measure, finding: Finding) -> list[dict[str, Any]]:
    """Return the tables of the paper that belong to a measure, as {"title", "head", "rows"}; most measures have none."""
    return []


@paper_tables.register
def _(measure: Averaged, finding: Finding) -> list[dict[str, Any]]:
    """Tables 1 and 2."""
    control = finding.control
    if not control:
        return []
    mean = {column: percent_range([run.errors[column] for run in control.with_a_result]) for column in TEST_COLUMNS}
    ensemble = control.ensemble or {}
    averaged = {
        name: f"{100 * ensemble[name]['averaged']:.1f}%" if ensemble else "not averaged yet"
        for name in ("one_view_top1", "one_view_top5", "ten_views_top1", "ten_views_top5")
    }
    centre = mean["test_error"], mean["test_top5_error"]
    ten = mean["test_error_ten_views"], mean["test_top5_error_ten_views"]
    nets, test, validation = measure.nets, "table 1 (2010 test)", "table 2 (2012 validation)"
    not_run = "not run", "not run"
    rows = [
        ("one net, centre view", *centre, "39.0%", "18.3%", "footnote 5 (2010 test)"),
        ("sparse coding (Berg et al.)", *not_run, "47.1%", "28.2%", test),
        ("SIFT and Fisher vectors", *not_run, "45.7%", "25.7%", test),
        ("one net, ten views", *ten, "37.5%", "17.0%", test),
        ("SIFT and Fisher vectors", *not_run, "-", "26.2%", "table 2 (2012 test)"),
        ("one net, ten views", *ten, "40.7%", "18.2%", validation),
        (f"{counted(nets, 'net')} averaged, centre view", averaged["one_view_top1"], averaged["one_view_top5"], "-", "-", "-"),
        (
            f"{counted(nets, 'net')} averaged, ten views",
            averaged["ten_views_top1"],
            averaged["ten_views_top5"],
            "38.1%",
            "16.4%",
            f"{validation}; top-5 on its test set 16.4%",
        ),
        ("one net, trained on all of ImageNet 2011 first", *not_run, "39.0%", "16.6%", validation),
        (
            "seven nets averaged, two of them trained so",
            *not_run,
            "36.7%",
            "15.4%",
            f"{validation}; top-5 on its test set 15.3%",
        ),
        ("Fall 2009, 10,184 classes, sixth convolution", *not_run, "67.4%", "40.9%", "section 6"),
        ("Fall 2009, best before", *not_run, "78.1%", "60.9%", "section 6"),
    ]
    other = "a net of another size on other images: only the order of rows compares"
    title = f"Tables 1 and 2, {finding.base} on {finding.data} ({other})"
    head = ("what", f"top-1, n={len(control.with_a_result)}, mean [95%]", "top-5", "paper's top-1", "paper's top-5", "where")
    return [{"title": title, "head": head, "rows": rows}]


def percent_range(errors: Sequence[float]) -> str:
    """Return the mean over runs of shares from 0 to 1, in percent, with its interval; "-" where none was measured."""
    mean, lower, upper = mean_interval([100 * error for error in errors if error == error])
    if mean != mean:
        return "-"
    return f"{mean:.1f}% [{lower:.1f}, {upper:.1f}]" if lower == lower else f"{mean:.1f}%"
