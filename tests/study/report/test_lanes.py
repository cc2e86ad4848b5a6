"""study/report/figures/lanes.py and sheet.py: rows, lanes and room in the two pictures of many claims."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_arms import MadeUp, arm_of, decided
from made_up_findings import CLAIMS, FEW, HIGHER, LARGER, LITTLE, SCALE, WIDE, at_own, found, lanes, titles
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from study.judge.intervals import share_of_runs
from study.questions.own_rates import SUFFIX
from study.report.figures.lanes import AT_OWN, AT_SHARED, rows_of
from study.report.figures.parts import worth_of_parts
from study.report.figures.sheet import inches_of, wrapped
from study.report.figures.style import INK, PALETTE, save, style
from study.report.figures.verdicts import verdict_forest
from study.report.pages import OVERVIEW_COLOURS

PICTURES = (worth_of_parts, verdict_forest)
OWN_IMAGES = "own-pets-32px-3classes-160images"
both = pytest.mark.parametrize("draw", PICTURES)


def in_regimes(name: str, treated=HIGHER, **more) -> list[SimpleNamespace]:
    """A claim in all regimes, its own rates last, as they are judged."""
    at_shared = [found(name, treated, **more), found(name, LITTLE, FEW, **more)]
    return [*at_shared, found(name, WIDE, LARGER, base="ALEXNET_64", data=LARGER, **more), at_own(name, **more)]


PLAIN = {"readings": {}}
"""Fields of a finding on a claim that is asked in no other way."""


@both
def test_own_rates_stand_right_below_their_claims_own_regime_in_its_one_row(draw):
    (axis,) = draw(in_regimes("response_norm", **PLAIN)).axes
    assert titles(axis) == [CLAIMS["response_norm"].title]
    assert lanes(axis) == [SCALE, FEW, "own rates", LARGER]
    places = {text.get_text(): text.xyann[0] for text in axis.texts if text.get_text() in lanes(axis)}
    assert places["own rates"] > places[FEW] == places[SCALE]


@both
def test_own_rates_without_the_claim_itself_name_their_regime_and_have_its_title(draw):
    (axis,) = draw([at_own("response_norm", **PLAIN), found("colour_noise")]).axes
    assert set(titles(axis)) == {CLAIMS["response_norm"].title, CLAIMS["colour_noise"].title}
    assert set(lanes(axis)) == {f"{FEW}, own rates", SCALE}


def test_a_claim_whose_name_alone_ends_as_those_at_own_rates_do_is_a_claim_of_its_own():
    plain = found("response_norm" + SUFFIX, claim=CLAIMS["response_norm"])
    assert [row.names for row in rows_of([found("response_norm"), plain])] == [("",), ("",)]


@both
def test_a_network_is_named_only_where_a_claim_has_several_at_one_scale(draw):
    assert not any("ALEXNET" in name for name in lanes(draw(in_regimes("response_norm")).axes[0]))
    several = [*in_regimes("response_norm"), found("response_norm", base="SOURCE_2012"), found("colour_noise")]
    names = lanes(draw(several).axes[0])
    assert {f"{SCALE}, ALEXNET_32", "SOURCE_2012"} <= set(names) and LARGER in names


def test_own_rates_of_several_networks_name_theirs():
    both_networks = [make("response_norm", scale=FEW, base=base) for make in (found, at_own) for base in ("A", "B")]
    (row,) = rows_of(both_networks)
    assert [name.strip() for name in row.names] == ["A", "A, own rates", "B", "B, own rates"]


@both
def test_a_picture_of_one_regime_names_no_lane_but_own_rates(draw):
    (axis,) = draw([found("response_norm", scale=FEW, **PLAIN), at_own("response_norm", **PLAIN)]).axes
    assert lanes(axis) == ["own rates"]


@both
def test_an_interval_at_own_rates_is_dotted_and_the_legend_says_so_where_there_is_one(draw):
    shared, own = found("response_norm", scale=FEW, **PLAIN), at_own("response_norm", **PLAIN)
    figure = draw([shared, own])
    drawn = [line for line in figure.axes[0].lines if line.get_linewidth() == 2 and len(line.get_xdata()) == 2]
    (solid, dotted) = (line._unscaled_dash_pattern for line in drawn)
    texts = {
        text.get_text(): line._unscaled_dash_pattern
        for legend in figure.legends
        for text, line in zip(legend.texts, legend.legend_handles, strict=True)
        if text.get_text() in (AT_SHARED, AT_OWN)
    }
    assert texts == {AT_SHARED: solid, AT_OWN: dotted} and solid != dotted
    assert not {text.get_text() for legend in draw([shared]).legends for text in legend.texts} & set(texts)


# ---- Room ------------------------------------------------------------------------------------------------------------


def titled(title: str, name: str = "response_norm", **more) -> SimpleNamespace:
    """A finding on a claim of somebody's own."""
    return found(name, claim=replace(CLAIMS[name], title=title), **more)


def shown(count: int) -> SimpleNamespace:
    """Seen in so many of 20 runs."""
    look = SimpleNamespace(machines=(), seeds=15)
    verdict = SimpleNamespace(effect=share_of_runs(count, 20), direction="undecided", alone=None, contrasts={}, look=look)
    facts = {"claim_name": "column_colour", "claim": CLAIMS["column_colour"], "verdict": verdict, "word": "undecided"}
    return MadeUp(**vars(found("response_norm")) | facts)


def never_there() -> SimpleNamespace:
    claim = CLAIMS["dropout_slower"]
    verdict = decided(claim, {arm.label: arm_of(arm.label, [None] * 5) for arm in claim.arms})
    return found("dropout_slower", [5.0, 5.1, 5.2], LARGER, verdict=verdict, word=verdict.direction)


def much_of_everything() -> list[SimpleNamespace]:
    """As various as the findings of the study."""
    names = ("response_norm", "overlap_pooling", "dropout_error", "two_columns", "colour_noise", "depth")
    bases = ("A-today", "A-2012", "A-2012-standardized", "A-2012-torch-init")
    times = [found("relu_sooner", [20.0, 24.0, 31.0], control=[5.0, 5.5, 6.1, 5.2, 5.6], base=base) for base in bases]
    others = [found(name) for name in ("dropout_overfits", "weight_decay", "bias_init", "batch_norm", "fidelity")]
    return [*times, *(one for name in names for one in in_regimes(name)), *others, never_there(), shown(2)]


LONG = "With everything that one can think of taken out of the network one after another the error is higher than it was"
STUDIES = {
    "much of everything": much_of_everything(),
    "one finding": [found("response_norm")],
    "one short title": [titled("Deep is better")],
    "long titles": [titled(LONG), titled("colour" * 30, "colour_noise", scale=FEW)],
    "one's own images": [found("response_norm", scale=OWN_IMAGES), found("response_norm")],
    "synthetic images": [found("colour_noise", scale="shapes", role="machinery"), found("ten_views", scale="smoke")],
    "all against the claims": [titled("Deep", treated=[31.0, 31.1, 30.95]), found("colour_noise", [35.0, 35.1, 34.9])],
    "all far beyond": [titled("Deep", treated=[91.0, 91.1, 90.95], **PLAIN)],
    "nothing": [],
}


def texts_of(figure, monkeypatch) -> list:
    """What is written in a picture, as rectangles in dots: of what is really drawn, not of all that could be."""
    written: dict[Text, None] = {}
    as_before = Text.draw

    def draw(self, *options, **more):
        written[self] = None
        return as_before(self, *options, **more)

    monkeypatch.setattr(Text, "draw", draw)
    figure.set_dpi(150)
    FigureCanvasAgg(figure).draw()
    return [(text.get_text(), text.get_window_extent()) for text in written if text.get_text().strip() and text.get_visible()]


SLOW = ("much of everything",)
pictured = [
    pytest.param(draw, name, marks=pytest.mark.slow if name in SLOW else ())
    for draw in PICTURES
    for name in STUDIES
    if name != "nothing"
]


@pytest.mark.parametrize(("draw", "study"), pictured)
def test_no_two_texts_of_a_picture_overlap(draw, study, monkeypatch):
    with style():
        texts = texts_of(draw(STUDIES[study]), monkeypatch)
    clash = [
        (one, other)
        for (one, here), (other, there) in itertools.combinations(texts, 2)
        if min(here.x1, there.x1) - max(here.x0, there.x0) > 1 and min(here.y1, there.y1) - max(here.y0, there.y0) > 1
    ]
    assert texts and not clash


@pytest.mark.parametrize(("draw", "study"), pictured)
def test_no_text_leaves_its_picture(draw, study, monkeypatch):
    with style():
        figure = draw(STUDIES[study])
        texts = texts_of(figure, monkeypatch)
    wide, tall = figure.bbox.width, figure.bbox.height
    assert not [text for text, at in texts if at.x0 < 0 or at.y0 < 0 or at.x1 > wide or at.y1 > tall]


@pytest.mark.parametrize(("draw", "study"), pictured)
def test_no_name_and_no_heading_reaches_into_the_plot(draw, study, monkeypatch):
    with style():
        figure = draw(STUDIES[study])
        texts_of(figure, monkeypatch)
    for axis in figure.axes:
        names = [text for text in axis.texts if text.get_ha() == "left" and text.xyann[0] < 0]
        assert names and all(text.get_window_extent().x1 < axis.bbox.x0 for text in names)


def test_a_grey_area_keeps_its_grey_among_the_few_colours_of_a_png(tmp_path):
    """The colours of the edges of marks are many, and pull at it."""
    pixels, grey = np.full((300, 600, 3), 255, np.uint8), 235
    pixels[:, 100:160] = grey
    shares = np.linspace(0, 1, 60)[:, None]
    for row, (color, ground) in enumerate(itertools.product((*PALETTE[:4], "#767676", INK), (255, grey))):
        pixels[row, 200:260] = 255 * np.array(to_rgb(color)) * shares + ground * (1 - shares)
    figure = Figure(figsize=(4, 2))
    figure.figimage(pixels)
    with style():
        kept = Image.open(save(figure, tmp_path / "few.png", OVERVIEW_COLOURS)).convert("RGB")
    assert kept.getpixel((130, 150)) == (grey,) * 3


@both
def test_no_title_is_cut(draw):
    assert titles(draw([titled(LONG)]).axes[0]) == [LONG]


@pytest.mark.parametrize("text", [LONG, "colour" * 30, "a " + "colour" * 30 + " b", "short", ""])
def test_a_text_is_broken_into_lines_that_fit_and_nothing_of_it_is_lost(text):
    lines = wrapped(text, 2.0)
    assert all(inches_of(line) <= 2.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
