"""A claim about errors at the end of a budget, from a frozen table to the report."""

import re
from dataclasses import replace

import matplotlib.text
import numpy as np
import pytest
from helpers import made_up_result, whole_report

from study.judge.evidence import find
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.claim_sections import claim_section
from study.report.figures.errors import errors_at_end
from study.report.pages import write_report
from study.report.phrases import mean_of, measured_words
from study.report.sentences import why
from study.report.verdict_table import verdict_table
from study.run.result import RunResult

WITH = [0.300, 0.302, 0.301, 0.299, 0.3005]  # of the control 5 seeds, for the first look
WITHOUT = [0.320, 0.3215, 0.321, 0.319]


def runs_of(seeds: int, diverged: int = 0, fingerprint: str = "f00dfeed0000") -> list[RunResult]:
    """Made-up runs of the normalization claim, `diverged` of them without it."""
    planned_runs = make_plan("response_norm", "cifar10-jpeg", fingerprint, Tuned(), seeds=seeds)
    runs = []
    for planned in planned_runs:
        run = made_up_result(planned, crossing=None)
        run = replace(run, test_error_ten_views=(WITHOUT if planned.arm == "none" else WITH)[planned.seed])
        if planned.arm == "none" and planned.seed < diverged:
            run = replace(run, outcome="diverged", test_error=None, test_error_ten_views=None)
        runs.append(run)
    return runs


def found_in(folder):
    """What is found of this claim: others share its runs."""
    return [one for one in find(folder).found if one.claim_name == "response_norm"]


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    tables.merge(folder, runs_of(4))
    return folder


def test_a_difference_is_judged_in_points_and_a_proxy_earns_no_size(results):
    (found,) = found_in(results)
    without, control = sum(WITHOUT[:3]) / 3, 0.8 * sum(WITH[:3]) / 3 + 0.2 * sum(WITH[3:]) / 2
    assert found.verdict.effect.estimate == pytest.approx(100 * (without - control))  # of the 3 and 5 seeds of the first look
    assert (found.verdict.direction, found.verdict.size) == ("supported", "not judged")
    assert found.arm("none").known == pytest.approx([100 * e for e in WITHOUT])


@pytest.mark.slow
def test_report_and_terminal_say_the_difference_and_the_papers_number(results):
    write_report(results)
    pages = [whole_report(results), (results / "report.html").read_text()]
    for text in [*pages, verdict_table(found_in(results))]:
        assert "+2.01 points [" in text and "+1.4 points" in text
    assert all("log-rank" not in page and "seconds of training" not in page for page in pages)
    assert {path.name for path in (results / "figures").glob("response_norm-*")} == {
        "response_norm-cifar10-jpeg-errors.png",
        "response_norm-cifar10-jpeg-curves.png",
    }


@pytest.mark.slow
def test_each_version_of_the_images_has_a_picture_of_its_own_which_its_section_shows(tmp_path):
    """The errors of the second version are ten points higher: its picture cannot be that of the first."""
    for fingerprint, higher in (("f00dfeed0000", 0.0), ("0123456789ab", 0.1)):
        made = [replace(run, test_error_ten_views=run.test_error_ten_views + higher) for run in runs_of(4, 0, fingerprint)]
        tables.merge(tmp_path, made)
    write_report(tmp_path)
    sections = re.split(r"(?=Data: \S+, fingerprint \w{12})", whole_report(tmp_path))
    shown = [re.findall(r"figures/(response_norm-cifar10-jpeg-\S*errors\.png)", section) for section in sections]
    first, second = (tmp_path / "figures" / picture for pictures in shown for picture in pictures)
    assert first.read_bytes() != second.read_bytes()
    assert "0123456789ab" in first.name and "f00dfeed0000" in second.name


@pytest.mark.slow
def test_a_diverged_run_is_shown_and_has_no_error(tmp_path):
    tables.merge(tmp_path, runs_of(4, diverged=1))
    (found,) = found_in(tmp_path)
    arm = found.arm("none")
    assert arm.values[0] is None and arm.censored == 1 and len(arm.known) == 3
    write_report(tmp_path)
    page = whole_report(tmp_path)
    assert "| 3 of 4 |" in page and "1 of 3 runs of none diverged" in page


@pytest.fixture
def with_an_idle_run(tmp_path):
    """Of four runs without normalization one gave the same answer for every image: it is far above the others."""
    runs = runs_of(4)
    idle = next(at for at, run in enumerate(runs) if (run.asked.arm, run.seed) == ("none", 1))
    runs[idle] = replace(runs[idle], predicted_classes=1, test_error=0.9, test_error_ten_views=0.9)
    tables.merge(tmp_path, runs)
    (found,) = found_in(tmp_path)
    return found


def test_the_mean_of_an_arm_leaves_out_a_run_that_learned_nothing_as_the_comparison_with_the_control_does(with_an_idle_run):
    found = with_an_idle_run
    others = [100 * error for seed, error in enumerate(WITHOUT) if seed != 1]
    arm, control = found.arm("none"), np.mean([100 * error for error in (WITH[0], *WITH[2:4])])
    assert mean_of(arm, found.claim)[0] == pytest.approx(np.mean(others))
    assert found.effects["none"].estimate == pytest.approx(np.mean(others) - control, abs=0.1)
    assert measured_words(arm, found.claim) == "3 of 4" and arm.values[1] == 90


def test_every_number_of_an_arm_is_of_the_same_runs(with_an_idle_run):
    """The table's mean errors, and the mean and the count in the picture, beside which the run itself is a point."""
    found = with_an_idle_run
    expected = 100 * np.mean([error for seed, error in enumerate(WITHOUT) if seed != 1])
    (row,) = (row for row in _rows(claim_section([found], [])) if row["arm"] == "none")
    assert row["ten views"].startswith(f"{expected:.1f}% [") and row["without a result"] == "1 of 4 did not learn"
    axis = errors_at_end([found]).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    at = names.index("none (n=3, 1 without)")
    (mean,) = (line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|" and line.get_ydata()[0] == at + 0.32)
    assert mean == pytest.approx(expected)
    assert 90 in [value for line in axis.lines for value in line.get_xdata()]


def _rows(page: dict) -> list[dict[str, str]]:
    table = page["bases"][0]["arm_table"]
    return [dict(zip(table["head"], row, strict=True)) for row in table["rows"]]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
def test_with_too_few_runs_it_still_renders_and_gives_no_verdict(tmp_path, seeds):
    tables.merge(tmp_path, runs_of(seeds))
    (found,) = found_in(tmp_path)
    assert found.verdict.direction == "incomplete"
    write_report(tmp_path)
    assert f"{3 - seeds} more per arm for look 1 of 4" in whole_report(tmp_path)


def texts_of(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_a_run_that_learned_nothing_is_a_cross_in_the_picture_and_the_legend_says_so(with_an_idle_run):
    figure = errors_at_end([with_an_idle_run])
    crosses = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert crosses == [90] and "cross: did not learn, left out of means and estimates" in texts_of(figure)


def test_where_no_pair_is_left_with_a_result_nothing_says_that_none_was_run_or_that_there_is_an_estimate(tmp_path):
    runs = runs_of(3)
    idle = [
        replace(run, predicted_classes=1, test_error=0.9, test_error_ten_views=0.9) if run.asked.arm == "none" else run
        for run in runs
    ]
    tables.merge(tmp_path, idle)
    (found,) = found_in(tmp_path)
    shown = texts_of(errors_at_end([found]))
    assert "no estimate: too few pairs have a result" in shown and "no seed has a run of both" not in shown
    assert "The verdict uses the ranks" in why(found) and "The estimate is from the other runs" not in why(found)
    assert "no estimate yet (paper: +1.4 points): undecided; 3 of 3 runs of none did not learn" in verdict_table([found])


def test_the_estimate_of_the_runs_with_a_result_is_said_to_be_from_these(with_an_idle_run):
    assert "1 of 3 runs of none did not learn. The estimate is from the other runs. The verdict" in why(with_an_idle_run)


@pytest.mark.slow
@pytest.mark.parametrize("seeds, is_said", [((0, 1, 2, 3, 4), True), ((0, 1, 2), False)])
def test_where_a_mean_is_of_other_seeds_than_the_comparison_the_page_says_so_once(tmp_path, seeds, is_said):
    tables.merge(tmp_path, [run for run in runs_of(3) if run.seed in seeds])
    write_report(tmp_path)
    page = (tmp_path / "claims" / "response_norm.md").read_text()
    assert page.count('So "against control" is not simply the difference of two means.') == is_said
