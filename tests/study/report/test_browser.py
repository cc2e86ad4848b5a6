"""The report as a browser shows it: headless Chromium, where it is installed (CI installs it)."""

import re
import shutil
import time
from dataclasses import replace

import pytest
from helpers import made_up_result, write_tuned

from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.pages import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]
ROWS = "#overview tbody tr"
SHOWN = f"[...document.querySelectorAll('{ROWS}')].filter(row => !row.hidden)"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of made-up runs of two claims, of which others are answered too, on two machines."""
    results = tmp_path_factory.mktemp("results")
    write_tuned(results, {base: {"relu": 0.01, "tanh": 0.02} for base in ("A-2012", "A-today")}, scale="cifar10-jpeg")
    planned_runs = make_plan("relu_sooner", "cifar10-jpeg", "f00dfeed0000", Tuned.read(results))
    runs = [made_up_result(planned, 5.0 + planned.seed + 10 * (planned.arm == "tanh")) for planned in planned_runs]
    for planned in make_plan("response_norm", "cifar10-jpeg", "f00dfeed0000", Tuned(), seeds=3):
        error = 0.30 + 0.001 * planned.seed + 0.02 * (planned.arm == "none")
        runs.append(replace(made_up_result(planned, None, machine="other machine"), test_error_ten_views=error))
    tables.merge(results, runs)
    write_report(results)
    return results / "report.html"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def opened(browser, written):
    """opened(address, width, ...): the page in a window of its own; with what it logged and what it asked the network for."""

    def show(address: str = "", width: int = 1280, **options):
        page = browser.new_context(viewport={"width": width, "height": 800}, **options).new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(written.as_uri() + address)
        return page

    return show


@pytest.fixture(scope="module")
def phone(opened):
    return opened(width=390)


@pytest.fixture
def desk(opened):
    page = opened()
    yield page
    page.context.close()


def until(page, condition: str) -> None:
    """Wait for it. Playwright's own wait evaluates a text in the page, which the page's policy forbids where it has to look
    again."""
    ends = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < ends, condition
        page.wait_for_timeout(50)


def test_the_page_logs_nothing_and_asks_for_nothing_but_itself_and_pictures_beside_it(phone):
    phone.evaluate("[...document.images].forEach(i => i.loading = 'eager')")
    until(phone, "[...document.images].every(i => i.complete)")
    assert phone.said == []
    beside = phone.url.rpartition("/")[0]
    assert all(url == phone.url or url.startswith(f"{beside}/figures/") for url in phone.asked)
    shown = "[...document.images].filter(i => i.checkVisibility())"
    pictures = phone.evaluate(f"{shown}.map(i => [i.naturalWidth, i.getBoundingClientRect().width])")
    assert len(pictures) >= 5 and all(natural > 300 and width > 200 for natural, width in pictures)


def test_every_picture_leads_to_itself_in_its_full_size(phone):
    assert phone.evaluate("[...document.images].every(i => i.parentNode.href === i.src)")


def test_words_stand_before_the_first_picture_and_are_shown(desk):
    before = "p => p.compareDocumentPosition(document.images[0]) & Node.DOCUMENT_POSITION_FOLLOWING"
    assert desk.locator("#words").evaluate(before) and desk.locator("dl", has_text="look").is_visible()
    assert desk.locator("figure.forest img").first.is_visible() and not desk.locator(".on-a-phone").is_visible()


def test_a_phone_gets_the_table_in_place_of_the_picture_of_all_claims_and_a_link_to_it(phone):
    shown = phone.evaluate("[...document.images].filter(i => i.checkVisibility()).map(i => i.src)")
    assert not [source for source in shown if source.endswith("verdicts.svg")]
    links = phone.locator(".on-a-phone a")
    assert [link.get_attribute("href") for link in links.all() if link.is_visible()] == ["figures/verdicts.svg", "#findings"]


def test_at_a_desk_no_arm_of_a_claim_stands_beyond_the_page(desk):
    tables = "[...document.querySelectorAll('article .wide')].map(box => box.scrollWidth - box.clientWidth)"
    assert set(desk.evaluate(tables)) == {0}


def test_on_a_phone_nothing_is_wider_than_the_screen_and_a_claim_is_a_card_that_begins_with_its_verdict(phone):
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    tops = phone.evaluate(f"{SHOWN}.map(row => [...row.cells].map(cell => cell.getBoundingClientRect().top))")
    firsts = phone.evaluate(f"{SHOWN}.map(row => row.querySelector('.first').getBoundingClientRect().top)")
    assert len(tops) > 3
    assert all(first == min(each) and sorted(each) == each for first, each in zip(firsts, tops, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_schemes(phone, scheme):
    """Contrast by WCAG 2: at least 4.5 to 1 for text and verdicts."""
    phone.emulate_media(color_scheme=scheme)
    ground = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    kinds = ["p", "th", "td", ".stand", ".s-supported", "p.note", "h2", "a"]
    colours = phone.evaluate("kinds => kinds.map(s => getComputedStyle(document.querySelector(s)).color)", kinds)
    assert all(contrast(colour, ground) >= 4.5 for colour in colours)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_an_audit_of_accessibility_finds_nothing_serious(opened, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width=width, color_scheme=scheme, bypass_csp=True)  # the page's policy would not let the audit in
    audit = Axe().run(page).response
    found = audit["violations"]
    page.context.close()
    assert len(audit["passes"]) > 20  # it looked
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")] == []


# ---- With script -------------------------------------------------------------------------------------------------------


def column(page, name: str) -> list:
    """What the shown rows are sorted by in a column, from above to below."""
    return page.evaluate(f"name => {SHOWN}.map(row => JSON.parse(row.dataset.order)[name])", name)


@pytest.mark.parametrize("name", ["verdict", "here [95%]", "p (Holm)", "runs"])
def test_a_click_on_the_head_of_a_column_sorts_and_another_turns_it_round(desk, name):
    before = column(desk, name)
    assert len(set(before)) > 1
    known = sorted(value for value in before if value is not None)
    head = desk.locator(f'#overview th[data-column="{name}"]')
    for order, expected in (("ascending", known), ("descending", known[::-1])):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        assert [value for value in column(desk, name) if value is not None] == expected
        assert column(desk, name)[len(known) :] == [None] * (len(before) - len(known))  # what has no number comes last


@pytest.mark.parametrize("facet", ["verdict", "section", "machine"])
def test_what_is_chosen_is_shown_and_nothing_else(desk, facet):
    value = desk.evaluate(f"document.querySelector('[name={facet}]').options[1].value")
    facts = desk.evaluate(f"{SHOWN}.map(row => JSON.parse(row.dataset.facts))")
    expected = sum(value in one[facet] for one in facts)
    desk.locator(f"[name={facet}]").select_option(value)
    shown = desk.evaluate(f"{SHOWN}.map(row => JSON.parse(row.dataset.facts))")
    assert 0 < expected < len(facts) and len(shown) == expected and all(value in one[facet] for one in shown)
    claims = desk.evaluate(
        "[...document.querySelectorAll('article')].filter(a => !a.hidden).map(a => JSON.parse(a.dataset.facts))"
    )
    assert claims and all(value in one[facet] for one in claims)
    tested = f"{SHOWN}.filter(row => 'tested' in row.dataset).length"
    here, more = desk.evaluate(tested), len(shown) - desk.evaluate(tested)
    desk.locator("button[type=reset]").click()
    until(desk, f"{SHOWN}.length == {len(facts)}")
    said = f"{here} of {desk.evaluate(tested)} findings shown" + f", and {more} without a claim" * bool(more)
    desk.locator(f"[name={facet}]").select_option(value)
    assert desk.locator("#shown").inner_text() == said


def test_the_address_holds_the_view_so_that_it_can_be_sent_to_somebody(desk, opened):
    desk.locator("[name=machine]").select_option("other machine, fp32")
    desk.locator('#overview th[data-column="runs"] button').click()
    desk.locator('#overview th[data-column="runs"] button').click()
    address = desk.evaluate("location.hash")
    rows = f"{SHOWN}.map(row => row.innerText)"
    sent = opened(address)
    assert "machine=other" in address and sent.evaluate(rows) == desk.evaluate(rows)
    assert desk.evaluate(rows) != opened().evaluate(rows)


@pytest.mark.parametrize("address", ["#verdict=nonsense&sort=nonsense&at=nowhere", "#nowhere", "#%%%3Cscript%3E=1"])
def test_an_address_that_says_nothing_shows_everything(opened, address):
    page = opened(address)
    assert page.said == [] and page.evaluate(f"{SHOWN}.length") == page.locator(ROWS).count()


def text_when_pointed_at(desk, point) -> str:
    """Scrolling hides what is told, also that of a page that still settles: so it is pointed at until it stands."""
    for _ in range(20):
        desk.mouse.move(0, 0)
        point()
        if text := desk.evaluate("(tip => tip.hidden ? '' : tip.innerText)(document.getElementById('tip'))"):
            return text
        desk.wait_for_timeout(50)
    raise AssertionError("nothing is told")


def test_a_run_that_is_pointed_at_tells_arm_seed_value_key_and_its_command(desk):
    points = desk.locator('article[id^="response_norm-"] svg.points circle')
    text = text_when_pointed_at(desk, points.nth(points.count() - 1).hover)
    assert re.match(r"none, seed 2: 32\.20; run [0-9a-f]{16}\n", text)
    assert "python -m study train response_norm/ALEXNET_32/none --set data.name=cifar10-jpeg --seed 2" in text


def test_a_curve_that_is_pointed_at_tells_arm_and_seed(desk):
    curve = desk.locator('article[id^="response_norm-"] svg.curves polyline').first

    def point() -> None:
        curve.scroll_into_view_if_needed()
        box = curve.bounding_box()
        desk.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    assert re.search(r"seed \d: ended at [\d.]+%; epoch \d+", text_when_pointed_at(desk, point))


def test_runs_are_reached_by_the_keyboard_alone(desk):
    picture = desk.locator('article[id^="response_norm-"] svg.points')
    picture.focus()
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("ArrowRight")
    assert "seed 1:" in desk.locator("#tip").inner_text()
    desk.keyboard.press("Escape")
    assert desk.locator("#tip").is_hidden()


# ---- Without script ----------------------------------------------------------------------------------------------------


def test_without_script_everything_is_there_and_nothing_that_would_do_nothing(opened, written):
    page = opened(java_script_enabled=False)
    text = written.read_text()
    assert page.locator(ROWS).count() == text.count("data-order=") > 3
    assert all(row.is_visible() for row in page.locator(ROWS).all())
    assert all(claim.is_visible() for claim in page.locator("article").all())
    assert page.locator("#choose").is_hidden() and page.locator("#overview button").count() == 0
    assert page.locator("svg.points circle title").count() == page.locator("svg.points circle").count() > 10
