"""The report as a browser shows it: headless Chromium, where it is installed (CI installs it)."""

import shutil

import pytest
from helpers import made_up_result, write_tuned

from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.pages import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of made-up runs, open in a browser; with what it logged and what it asked the network for."""
    from playwright.sync_api import sync_playwright

    results = tmp_path_factory.mktemp("results")
    write_tuned(results, {base: {"relu": 0.01, "tanh": 0.02} for base in ("A-2012", "A-today")}, scale="cifar10-jpeg")
    cells = make_plan("relu_sooner", "cifar10-jpeg", "f00dfeed0000", Tuned.read(results))
    tables.merge(results, [made_up_result(cell, 5.0 + cell.seed + 10 * (cell.arm == "tanh")) for cell in cells])
    write_report(results)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 390, "height": 800})  # a phone
        opened.said, opened.asked = [], []
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.goto((results / "report.html").as_uri())
        yield opened
        browser.close()


def test_the_page_logs_nothing_and_asks_for_nothing_but_itself(page):
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]


def test_every_picture_is_loaded_and_shown(page):
    pictures = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width])")
    assert len(pictures) == 4 and all(natural > 300 and shown > 200 for natural, shown in pictures)


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_schemes(page, scheme):
    """Contrast by WCAG 2: at least 4.5 to 1 for text and verdicts."""
    page.emulate_media(color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    colours = page.evaluate(
        "['p', 'th', 'td', '.verdict', 'p.note', 'h2'].map(s => getComputedStyle(document.querySelector(s)).color)"
    )
    assert all(contrast(colour, ground) >= 4.5 for colour in colours)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
