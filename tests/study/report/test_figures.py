"""study/report/figures: what is drawn from kept arrays, and that drawing leaves the caller's process as it was."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import made_up_result
from made_up_arms import arm_of, with_runs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from matplotlib.text import Text

from alexnet.errors import Refused
from study.judge.evidence import find
from study.judge.intervals import difference_of, ratio_of_logs
from study.plan.claim_files import all_claims
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.measures import NeighbourGain
from study.questions.scales import SCALES
from study.record import tables
from study.record.figure_files import arrays_path, picture_path, read_arrays, slug, write_arrays
from study.report.figures.curves import training_curves
from study.report.figures.draw import draw, drawn_of, of_measure, of_rule
from study.report.figures.figure_1 import figure_1
from study.report.figures.figure_4 import figure_4
from study.report.figures.style import PANEL_POINTS, head, panel_titles, panels, style, width_in_points
from study.report.pages import write_report

IMPORT = """
import sys, matplotlib
before = matplotlib.rcParams.copy()  # dict() of them would choose a backend
import study.report.pages, study.report.figures.draw, study.report.verdict_table
from study.report.figures.style import panels, save, style
from pathlib import Path
with style():
    save(panels(1, 1, (2, 2))[0], Path(sys.argv[1]))
assert matplotlib.rcParams.copy() == before, "rcParams"
"""


@pytest.mark.slow
def test_importing_and_drawing_change_no_setting_of_matplotlib(tmp_path):
    subprocess.run([sys.executable, "-c", IMPORT, str(tmp_path / "empty.png")], check=True)
    assert (tmp_path / "empty.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def nearest(tmp_path):
    """The finding of the claim about nearest images, from one made-up run, and its folder."""
    (planned,) = make_plan("nearest_images", "cifar10-jpeg", "f00dfeed0000", Tuned(), bases=["ALEXNET_32"], seeds=1)
    tables.merge(tmp_path, [made_up_result(planned, crossing=None)])
    return find(tmp_path, {"nearest_images": all_claims()["nearest_images"]}).found, tmp_path


def arrays(shown: int = 3) -> dict[str, np.ndarray]:
    """Of `shown` queries: grey images, each the brighter the further it is; the second neighbour has another label."""
    grey = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((7, 8, 8, 3), np.uint8)
    return {
        "images": np.stack([grey] * shown),
        "labels": np.array([[1, 1, 0, 1, 1, 1, 1]] * shown),
        "best": np.array([[1, 0]] * shown),
        "probabilities": np.array([[0.9, 0.1]] * shown),
        "names": np.array(["frog", "ship"]),
        "title": np.array("made up"),
    }


def write_nearest(folder: Path, machine: str = "test machine, fp32", **other) -> None:
    where = "nearest_images", "cifar10-jpeg", "ALEXNET_32", "f00dfeed0000"
    write_arrays(arrays_path(folder, *where, machine, "figure-4"), arrays() | other)


def kept_at(folder: Path) -> Path:
    return picture_path(folder, "nearest_images", "cifar10-jpeg", "figure-4", "")


def test_figure_4_shows_each_query_with_its_six_nearest_and_brackets_other_labels(nearest):
    found, folder = nearest
    write_nearest(folder)
    drawn = figure_4(NeighbourGain(), folder, found)
    images = [image.get_array()[0, 0, 0] for image in drawn.findobj(AxesImage)]
    assert images == [0, 1, 2, 3, 4, 5, 6] * 3
    titles = [axis.get_title() for axis in drawn.axes[8:16]]
    assert titles == ["", "", "ship", "(frog)", "ship", "ship", "ship", "ship"]


def test_figure_4_says_where_the_right_label_is_not_among_the_best(nearest):
    found, folder = nearest
    write_nearest(folder, best=np.array([[1, 0], [0, 0], [1, 0]]))
    axes = figure_4(NeighbourGain(), folder, found).axes
    assert ["not among" in axes[at].get_ylabel() for at in (0, 8, 16)] == [False, True, False]


def test_figure_4_shows_a_net_of_a_machine_that_the_verdict_rests_on(nearest):
    (one,), folder = nearest
    for machine in ("first", "judged"):
        write_nearest(folder, machine, title=np.array(machine))
    verdict = replace(one.verdict, look=replace(one.verdict.look, machines=("judged",)))
    figure = figure_4(NeighbourGain(), folder, [replace(one, machines=("first", "judged"), verdict=verdict)])
    assert figure.get_suptitle().endswith("judged")


def test_without_its_arrays_figure_4_is_kept_as_it_was_made_before(nearest):
    found, folder = nearest
    assert kept_at(folder) not in draw(found, folder)
    kept_at(folder).write_bytes(b"as it was")
    assert draw(found, folder)[0] == kept_at(folder)
    assert kept_at(folder).read_bytes() == b"as it was"


def test_the_pictures_of_a_claim_are_those_of_its_scale_and_not_of_another_whose_name_goes_on(nearest):
    (one,), folder = nearest
    own = kept_at(folder)
    for path in (own, own.with_name(own.name.replace("cifar10-jpeg", "cifar10-jpeg-2500"))):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert drawn_of(one, folder) == [own]


def test_what_is_kept_is_read_again_and_a_damaged_file_is_refused_by_its_name(tmp_path):
    path = tmp_path / "figures" / "a.npz"
    assert read_arrays(path) is None
    write_arrays(path, arrays())
    first = path.read_bytes()
    for name, values in read_arrays(path).items():
        np.testing.assert_array_equal(values, arrays()[name])
    write_arrays(path, arrays())
    assert path.read_bytes() == first
    path.write_bytes(first[:100])
    with pytest.raises(Refused, match=r"a\.npz: damaged"):
        read_arrays(path)


def flipped(content: bytes) -> bytes:
    spoiled = bytearray(content)
    spoiled[200:400] = bytes(byte ^ 0x5A for byte in spoiled[200:400])
    return bytes(spoiled)


def one_array() -> bytes:
    np.save(buffer := io.BytesIO(), np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("spoil", [flipped, lambda content: one_array(), lambda content: b"", lambda content: content[:-9]])
def test_a_report_of_a_damaged_file_of_arrays_is_refused_in_a_line_and_draws_nothing(nearest, spoil):
    _, folder = nearest
    write_nearest(folder)
    (path,) = (folder / "figures").iterdir()
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(Refused) as error:
        write_report(folder)
    assert str(error.value).startswith(f"{path}: damaged (") and "\n" not in str(error.value)
    assert list(path.parent.iterdir()) == [path] and not list(folder.glob("*.md"))


UNLIKE = {
    "without labels": {"labels": None},
    "without names": {"names": None},
    "a label without a name": {"labels": np.full((3, 7), 2)},
    "a negative label": {"best": np.full((3, 2), -1)},
    "labels of fewer images": {"labels": np.ones((2, 7), int)},
    "one neighbour less": {"images": np.zeros((3, 6, 8, 8, 3), np.uint8), "labels": np.ones((3, 6), int)},
    "no image": {name: value[:0] for name, value in arrays().items() if name not in ("names", "title")},
    "grey images": {"images": np.zeros((3, 7, 8, 8), np.uint8)},
    "a probability that is no number": {"probabilities": np.full((3, 2), np.nan)},
    "probabilities of fewer labels": {"probabilities": np.ones((3, 1))},
    "numbers for names": {"names": np.arange(2)},
}


@pytest.mark.parametrize("what", UNLIKE)
def test_arrays_that_figure_4_cannot_be_drawn_from_are_refused_by_their_file(tmp_path, what):
    path = tmp_path / "mine-figure-4.npz"
    write_arrays(path, arrays())
    assert read_arrays(path)
    write_arrays(path, {name: value for name, value in {**arrays(), **UNLIKE[what]}.items() if value is not None})
    with pytest.raises(Refused, match=r"mine-figure-4\.npz: damaged \("):
        read_arrays(path)


ABOUT = [scale.about for scale in SCALES.values()]


@pytest.mark.parametrize("width", [3, 5.5, 9])
def test_a_long_title_stays_within_its_figure(width):
    with style():
        figure, _ = panels(1, 1, (width, 8))
        FigureCanvasAgg(figure)
        head(figure, [], f"short, {' '.join(ABOUT)}", [], details=["", *ABOUT])
        figure.canvas.draw()
        (title,) = (text for text in figure.findobj(Text) if text.get_text().startswith("short"))
        drawn = [text for text in (title, *figure.legends[0].get_texts()) if text.get_text()]
        for extent in (text.get_window_extent() for text in drawn):
            assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width
        assert "overfits" in title.get_text() and len(drawn) > len(ABOUT)


@pytest.mark.parametrize("names", [["2012", "none"], ["a-name-of-an-arm-that-is-much-longer-than-most-others", "none"]])
def test_the_title_of_a_panel_is_broken_only_where_its_line_is_wider_than_the_axes(names):
    line = "(judged with n=12/9 of the runs shown; paper: +0.4 points)"
    with style():
        figure, axes = panels(1, 1, (6.8, 3))
        axes[0, 0].set(yticks=[0, 1], yticklabels=names)
        FigureCanvasAgg(figure)
        panel_titles(figure, axes, [[line]])
        figure.canvas.draw()
        (axis,) = axes[0]
        fits = width_in_points(line, PANEL_POINTS) / 72 <= axis.get_window_extent().width / figure.dpi
        assert (axis.get_title() == line) == fits == (names[0] == "2012")
        extent = axis.title.get_window_extent()
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width


def test_names_of_machines_become_parts_of_file_names():
    assert slug("AMD EPYC x 2, bf16") == "amd-epyc-x-2-bf16"


def test_figure_1_does_not_draw_the_running_and_the_exact_error_as_one_curve(nearest):
    """The running error, in percent, goes to the last epoch before the crossing; what leads from there to it is dotted."""
    (one,), _ = nearest
    claim = all_claims()["relu_sooner"]
    curve = {
        "epoch": np.array([1.0, 2.0, 3.0]),
        "running_error": np.array([0.6, 0.4, 0.28]),
        "train_error": np.array([0.5, 0.35, 0.26]),
    }
    arms = tuple(arm_of(label, [end], curve=(curve,)) for label, end in (("relu", 2.7), ("tanh", None)))
    effect = ratio_of_logs(difference_of(0.5, 0.1, 3, 0.95, 1, 1, 0.2), 1)
    look = SimpleNamespace(seeds=0)
    verdict = SimpleNamespace(effect=effect, treated="tanh", direction="undecided", contrasts={}, look=look)
    (axis,) = figure_1(claim.measure, [replace(one, claim=claim, arms=arms, verdict=verdict)]).axes
    lines = {kind: [] for kind in "-:"}
    for line in axis.lines:
        if line.get_linewidth() == 0.8 and line.get_linestyle() in lines:
            lines[line.get_linestyle()].append(line.get_xydata().round(6).tolist())
    assert lines["-"] == [[[0.5, 60.0], [1.5, 40.0], [2.5, 28.0]]]
    assert lines[":"] == [[[2.5, 28.0], [2.7, 25.0]], [[2.5, 28.0], [3.0, 26.0]]]


def test_all_bases_of_figure_1_are_seen_on_one_axis_that_reaches_the_last_of_their_marks(nearest):
    """A factor of 6.9 and one of 1.5 look alike on axes of their own."""
    (one,), _ = nearest
    claim = all_claims()["relu_sooner"]
    effect = ratio_of_logs(difference_of(0.5, 0.1, 3, 0.95, 1, 1, 0.2))
    look = SimpleNamespace(seeds=0)
    verdict = SimpleNamespace(effect=effect, treated="tanh", direction="undecided", contrasts={}, look=look)
    bases = []
    for ends in ((3.0, 5.0), (6.0, 40.0), (4.0, 8.0)):
        arms = tuple(
            arm_of(label, [end], curve=(one.arms[0].runs[0].curve,)) for label, end in zip(("relu", "tanh"), ends, strict=True)
        )
        bases.append(replace(one, claim=claim, arms=arms, verdict=verdict))
    shown = [axis for axis in figure_1(claim.measure, bases).axes if axis.get_visible()]
    assert len(shown) == 3
    for axis in shown:
        assert axis.get_xlim()[0] == 0 and axis.get_xlim()[1] >= 40 and axis.get_xlim() == shown[0].get_xlim()


def test_an_arm_without_a_whole_curve_keeps_its_name_in_the_legend(nearest):
    (one,), _ = nearest
    (arm,) = one.arms
    cut = with_runs(arm, curve=[{name: values[:2] for name, values in run.curve.items()} for run in arm.runs])
    _, ends = training_curves([replace(one, arms=(cut,))]).axes
    assert [text.get_text() for text in ends.get_legend().get_texts()] == ["2012 (n=1)"]


def test_test_errors_stand_in_a_panel_beside_the_epochs_and_not_on_their_axis(nearest):
    (one,), _ = nearest
    axis, ends = training_curves([one]).axes
    (errors,) = (line.get_ydata() for line in ends.lines)
    assert list(errors) == [100 * run.errors["test_error"] for run in one.arms[0].runs]
    assert max(axis.get_xticks()) <= one.arms[0].budget_epochs
    low, high = ends.get_ylim()  # an axis of its own, so that arms that are near one another can be told apart
    assert low <= min(errors) and max(errors) <= high and axis.get_ylim() != (low, high)


def test_curves_of_a_claim_about_the_top_5_error_show_it_at_the_end_and_call_the_others_top_1(nearest):
    (one,), _ = nearest
    (arm,) = one.arms
    arm = with_runs(arm, errors=[{"test_error": 0.5, "test_top5_error": 0.2}])
    claim = all_claims()["response_norm_top5"]
    figure = training_curves([replace(one, claim=claim, scale="tiny-imagenet-100", arms=(arm,))])
    axis, ends = figure.axes
    assert list(ends.lines[0].get_ydata()) == [20.0] and ends.get_title().startswith("top-5 test")
    assert axis.get_ylabel() == "top-1 training error, %"
    assert training_curves([one]).axes[0].get_ylabel() == "training error, %"


def test_of_many_arms_those_that_are_not_compared_are_thin_and_no_two_lines_have_one_colour(nearest):
    (one,), _ = nearest
    claim = all_claims()["fidelity"]
    arms = tuple(replace(one.arms[0], label=arm.label) for arm in claim.arms)
    axis, _ = training_curves([replace(one, claim=claim, arms=arms)]).axes
    assert len({line.get_color() for line in axis.lines}) == len(axis.lines) == len(arms)
    widest = max(line.get_linewidth() for line in axis.lines)
    thick = {line.get_label() for line in axis.lines if line.get_linewidth() == widest}
    assert thick == {claim.rule.control, *claim.rule.treated_arms}


def test_the_title_of_curves_is_the_claim(nearest):
    (one,), _ = nearest
    figure = training_curves([one])
    assert figure.legends[0].get_title().get_text() == one.claim.title


def test_a_claim_about_trained_nets_of_one_arm_has_no_picture_of_their_training():
    for name, claim in all_claims().items():
        kinds = of_rule(claim.rule, of_measure(claim.measure, Path()))
        assert kinds and not (len(claim.arms) == 1 and "curves" in kinds), name
