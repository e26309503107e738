"""The page in a real browser: what a reader sees, does and prints. Skipped where there is no Chromium."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunecheck.reporting import write
from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.language import LanguageReport, write_language
from prunecheck.runner import notebook
from tests.reporting import sample
from tests.reporting.dom import Node, parse, shape
from tests.runner import tiny
from tests.statistics.test_language_table import write as write_tables

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (the dev group)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian package: chromium)")

Browser = Any
Page = Any
EVERY_DETAIL = "for (const part of document.querySelectorAll('details')) part.open = true"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study that was run: one method, one check, two sparsities, three seeds."""
    return tiny.run(tmp_path_factory.mktemp("study"), sparsities=[0.5, 0.8], seeds=3).page


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with every part filled."""
    return write(sample.data(), tmp_path_factory.mktemp("full"))


@contextmanager
def opened(browser: Browser, path: Path, anchor: str = "", **context: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page and, growing, what it should never do: complain to the console, ask the network for anything."""
    room = browser.new_context(**context)
    room.set_default_timeout(10_000)
    page, wrong = room.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else wrong.append(asked.url))
    try:
        page.goto(path.as_uri() + anchor)
        yield page, wrong
    finally:
        room.close()


@pytest.mark.parametrize("which", ["real", "full"])
def test_browser_parses_the_page_without_errors(which: str, browser: Browser, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(which)
    with opened(browser, path) as (page, wrong):
        built = parse(page.content())
    written = parse(path.read_text(encoding="utf-8"))
    assert shape(strip_comfort(built).one("html")) == shape(written.one("html"))
    assert wrong == []


@pytest.mark.parametrize("width", [390, 768, 1920])
def test_page_of_language_models_fits_and_its_first_screen_has_the_dense_perplexity(
    width: int, browser: Browser, tmp_path: Path
) -> None:
    write_tables(tmp_path)
    data = data_of_table(tmp_path / "results.csv")
    assert isinstance(data, LanguageReport)
    page_file = write_language(data, tmp_path / "page")
    with opened(browser, page_file, viewport={"width": width, "height": 844}) as (page, wrong):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for words in (f"{data.verdict.dense_perplexity:.2f}", "lead over magnitude"):
            assert page.get_by_text(words).locator("visible=true").first.bounding_box()["y"] < 844
    assert wrong == []


def strip_comfort(node: Node) -> Node:
    """The tree without what the script adds: tools, sorting buttons, filters, the tip."""
    node.children = [
        strip_comfort(c)
        for c in node.children
        if c.tag not in {"button", "input", "output"} and c.attributes.get("class") != "tip"
    ]
    return node


@pytest.mark.parametrize("which", ["real", "full"])
def test_the_verdicts_on_the_page_are_those_of_the_file(
    which: str, browser: Browser, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(which)
    told = json.loads((path.parent / "verdicts.json").read_text(encoding="utf-8"))
    told.pop("report")
    with opened(browser, path) as (page, _):
        assert json.loads(page.locator("#verdicts").text_content()) == told
        columns = [
            (head.locator(".code").all_inner_texts() or [""])[0] for head in page.locator(".answers thead th").all()
        ]
        shown = {}
        for body in page.locator(".answers tbody").all():
            method = body.locator(".name").inner_text()
            for check, cell in zip(columns, body.locator("td").all(), strict=True):
                if cell.locator("a").count():
                    shown[method, check] = cell.locator(".word").inner_text()[2:], cell.locator(".effect").inner_text()
        answers = [badge[2:] for badge in page.locator(".answers .badge").all_inner_texts()]
    assert sorted(answers) == sorted(one["verdict"].lower() for one in told["methods"])
    judged = {(c["method"], c["check"]): c for c in told["checks"] if c["control"] not in ("identity", "planted")}
    words = {key: "control ok" if c["control"] == "aa" else c["verdict"].lower() for key, c in judged.items()}
    assert {place: word for place, (word, _) in shown.items()} == words
    for place, (_, effect) in shown.items():
        cell = judged[place]["pooled"]
        assert bool(effect.strip()) == (cell is not None)
        if cell is not None:
            assert float(effect.split()[0].replace("−", "-")) == pytest.approx(cell["mean_drop"], abs=0.006)


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_first_screen_says_what_was_trained_and_answers_for_every_method(
    width: int, browser: Browser, tmp_path: Path
) -> None:
    data = replace(sample.data(), trained="resnet32 on cifar10 (50,000 training images, 32 x 32 pixels), 160 epochs")
    with opened(browser, write(data, tmp_path), viewport={"width": width, "height": 1000}) as (page, _):
        trained = page.locator(".trained").bounding_box()
        assert trained["y"] + trained["height"] < 500
        first = page.locator(".answers tbody").first.bounding_box()
        assert first["y"] < 1000
        assert page.locator(".answers .name").all_inner_texts() == list(sample.ACCURACY)
        assert page.locator(".answers .sentence:visible").count() == len(sample.ACCURACY)
        assert page.locator(".answers .measured .word:visible").count() == len(sample.ACCURACY)
        assert page.locator(".instrument").inner_text().startswith("Controls. 2 of 3 controls ok; identity weak")


QUESTIONS = {
    "on what network and data, for how long": (".trained", r"on \w+ \(.* training images, .* pixels\), \d+ epochs?"),
    "what is the answer": (".answers .sentence", r"\w+ .*\."),
    "against what": (".answers .measured", r"random ticket [\d.]+%, dense [\d.]+%"),
    "was it the data, the positions or the values": (".answers thead th[data-tip]", r"with .+"),
    "how sure": ("#answer", r"\[[+−][\d.]+, [+−][\d.]+\].* in at most 5%"),
    "who chose the margin": ("#answer", r"The margin of [\d.]+ points is "),
    "what with another margin": ("#margins", r"(?i)(does not depend|inconclusive|depends)"),
    "could it have seen a loss": (".instrument", r"Controls\. \d of \d controls? ok"),
    "which seeds": ("#evidence", r"seed"),
    "did the networks train, did a mask collapse": ("#accuracy", r"dense"),
    "can I compute it again": ("#provenance", r"prunecheck .*torch"),
}
"""what a reviewer asks -> where on the page it is answered, and how the answer begins"""


def test_questions_of_a_reviewer_are_answered_in_their_places(browser: Browser) -> None:
    example = Path(__file__).parents[2] / "docs" / "example" / "index.html"
    with opened(browser, example, viewport={"width": 1280, "height": 900}) as (page, wrong):
        for question, (place, answer) in QUESTIONS.items():
            found = " ".join(page.locator(place).first.text_content().split())
            assert re.search(answer, found), f"{question}: {found[:500]}"
        assert page.locator("#health").count() == 1
        assert wrong == []


def test_what_a_check_destroys_is_shown_on_hovering_and_printed(browser: Browser, tmp_path: Path) -> None:
    data = replace(sample.small(), check_words={"random_labels": "Prune on uniformly random labels."})
    with opened(browser, write(data, tmp_path), viewport={"width": 1280, "height": 900}) as (page, _):
        page.locator(".answers thead th[data-tip]").hover()
        assert page.locator(".tip").inner_text() == "Prune on uniformly random labels."
        assert page.locator(".destroys").first.is_hidden()
        page.emulate_media(media="print")
        assert page.locator(".destroys").first.is_visible()


def test_cell_of_the_answers_opens_its_evidence_by_mouse_and_keyboard(browser: Browser, full: Path) -> None:
    with opened(browser, full) as (page, wrong):
        page.locator(".answers td a").nth(3).click()
        assert page.locator("details.check[open]").count() == 1
        first = page.locator("details.check[open] .what").first.inner_text()
        page.locator(".answers td a").nth(7).focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelectorAll('details.check[open]').length === 2")
        assert page.locator("details.check[open]").first.locator(".said dd").first.is_visible()
        assert wrong == []
        assert first


def test_url_fragment_of_a_check_opens_it(browser: Browser, full: Path) -> None:
    with opened(browser, full, "#check-3") as (page, _):
        assert page.locator("details.check[open] .inside").evaluate_all("parts => parts.map(p => p.id)") == ["check-3"]


def test_filter_and_open_all(browser: Browser, full: Path) -> None:
    with opened(browser, full) as (page, _):
        page.get_by_label("Filter the checks").fill("grasp inconclusive")
        assert page.locator("details.check:visible").count() == 1
        assert page.locator(".tools output").inner_text() == "1 of 25"
        page.get_by_label("Filter the checks").fill("")
        page.get_by_role("button", name="Open all").press("Enter")
        assert page.locator("details.check[open]").count() == 25
        page.get_by_role("button", name="Close all").click()
        assert page.locator("details.check[open]").count() == 0


def test_tables_sort_by_number_and_filter(browser: Browser, full: Path) -> None:
    with opened(browser, full) as (page, _):
        column = page.locator("#masks tbody tr td:nth-child(4)")
        head = page.locator("#masks thead th:nth-child(4)")
        head.locator("button").click()
        assert (column.first.inner_text(), head.get_attribute("aria-sort")) == ("0.180", "ascending")
        head.locator("button").press("Space")
        assert (column.first.inner_text(), head.get_attribute("aria-sort")) == ("0.280", "descending")
        page.locator("#rows details").evaluate("part => { part.open = true }")
        page.locator("#rows input").fill("snip random_pixels 0.95")
        assert page.locator("#rows tbody tr:visible").count() == 5


def test_hovering_shows_the_numbers_of_a_mark(browser: Browser, full: Path) -> None:
    cell = sample.verdict().checks[0].pooled
    assert cell is not None
    with opened(browser, full) as (page, _):
        strip = page.locator("details.check svg.strip").first
        strip.scroll_into_view_if_needed()
        strip.hover()
        said = page.locator(".tip").inner_text().replace("−", "-")
        assert said.startswith(f"{cell.mean_drop:+.2f} [{cell.low:+.2f}, {cell.high:+.2f}] points")
        assert "5 seeds: 0: " in said
        page.mouse.move(0, 0)
        assert page.locator(".tip").is_hidden()


def test_every_control_is_focusable_with_visible_focus(browser: Browser, full: Path) -> None:
    with opened(browser, full) as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        page.locator("details.check summary").first.focus()
        page.keyboard.press("Space")
        assert page.locator("details.check[open]").count() == 1
        bare = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input, summary, [tabindex]')].filter(part => {
                 part.focus({ focusVisible: true })
                 return part === document.activeElement && getComputedStyle(part).outlineStyle === 'none'
               }).length"""
        )
        assert bare == 0


DARK = pytest.param("dark", ["color-contrast", "link-in-text-block"], marks=pytest.mark.slow)


@pytest.mark.parametrize(("scheme", "rules"), [("light", None), DARK], ids=["light", "dark"])
def test_axe_finds_nothing_serious(scheme: Any, rules: Any, browser: Browser, tmp_path: Path) -> None:
    """All rules in the light, those about colour in the dark; every part of the page opened."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe (the dev group)").Axe()
    with opened(browser, write(sample.small(), tmp_path), color_scheme=scheme) as (page, _):
        page.evaluate(EVERY_DETAIL)
        found = axe.run(page, options={"runOnly": rules} if rules else None).response["violations"]
    grave = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
    assert grave == []


def test_without_scripts_everything_is_there_and_cells_still_open(browser: Browser, full: Path) -> None:
    with opened(browser, full) as (page, _):
        with_scripts = page.locator("main > section").evaluate_all("parts => parts.map(part => part.id)")
        curves = page.locator("#curves svg.panel").count()
    with opened(browser, full, java_script_enabled=False) as (page, wrong):
        assert [part.get_attribute("id") for part in page.locator("main > section").all()] == with_scripts
        assert page.locator("#curves svg.panel").count() == curves
        assert page.locator("input, button").count() == 0
        assert page.locator("details.check[open]").count() == 0
        page.locator(".answers td a").nth(3).click()
        assert page.locator("details.check[open]").count() == 1
        page.locator("details.check summary").last.click()
        assert page.locator("details.check[open]").count() == 2
        assert wrong == []


def test_training_curves_of_every_sparsity_can_be_chosen_without_scripts(browser: Browser, real: Path) -> None:
    with opened(browser, real, java_script_enabled=False) as (page, _):
        choices = page.locator("#curves details.choice > summary")
        assert choices.all_inner_texts() == ["80% sparsity", "50% sparsity", "dense"]
        assert page.locator("#curves svg.panel:visible").count() == 1
        choices.nth(1).click()
        assert page.locator("#curves svg.panel:visible").count() == 2


def test_printing_without_scripts_shows_all_sections(browser: Browser, full: Path) -> None:
    with opened(browser, full, java_script_enabled=False) as (page, _):
        assert page.locator(".said dd").last.is_hidden()
        page.emulate_media(media="print")
        assert page.locator(".said dd").last.is_visible()
        assert page.locator("#rows tbody tr").last.is_visible()


def test_printing_opens_all_sections_and_closes_them_again(browser: Browser, full: Path) -> None:
    with opened(browser, full) as (page, _):
        page.emulate_media(media="print")
        assert page.locator("nav").is_hidden()
        assert page.locator(".tools").is_hidden()
        closed = page.locator("details:not([open])").count()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        assert page.locator(".said dd").last.is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details:not([open])").count() == closed > 0
        assert page.pdf().startswith(b"%PDF")


TOO_LONG = {
    "as it is": "",
    "long names": "long_name_" * 30,
    "unbroken names": "x" * 300,
    "right to left": "עברית " * 40,
}


@pytest.mark.parametrize("text", TOO_LONG.values(), ids=TOO_LONG.keys())
def test_the_page_never_scrolls_sideways(text: str, browser: Browser, full: Path, tmp_path: Path) -> None:
    path = write(sample.hostile(text, sample.small()), tmp_path) if text else full
    with opened(browser, path) as (page, _):
        page.evaluate(EVERY_DETAIL)
        for width in (320, 390, 768, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_wide_table_on_a_phone_is_shaded_where_it_goes_on(browser: Browser, full: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    with opened(browser, full, viewport={"width": 390, "height": 800}) as (page, _):
        page.evaluate(EVERY_DETAIL)
        table = page.locator("div.scroll[aria-label^='Overlap of corrupted']").first
        table.evaluate("e => { e.firstElementChild.style.visibility = 'hidden' }")  # the letters are not measured

        def edges() -> tuple[int, int]:
            """The brightness of the leftmost and of the rightmost column of pixels."""
            shot = image.open(io.BytesIO(table.screenshot())).convert("L")
            return shot.getpixel((1, shot.height // 2)), shot.getpixel((shot.width - 2, shot.height // 2))

        assert table.evaluate("e => e.scrollWidth > e.clientWidth")
        left, right = edges()
        assert left > right + 20
        table.evaluate("e => { e.scrollLeft = e.scrollWidth }")
        left, right = edges()
        assert right > left + 20


HOSTILE = {
    "script": "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
    "attribute": '" onmouseover="document.title=\'owned\'" autofocus onfocus="document.title=\'owned\'" x="',
    "style": "</style><style>*{display:none}</style>}*{background:url(https://example.com/x.png)}",
    "address": "<a href=\"javascript:document.title='owned'\">x</a><base href=https://example.com>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_runs_no_script_and_makes_no_request(text: str, browser: Browser, tmp_path: Path) -> None:
    with opened(browser, write(sample.hostile(text, sample.small()), tmp_path)) as (page, wrong):
        page.evaluate(EVERY_DETAIL)
        page.locator("details.check svg.strip").first.hover()
        page.locator(".tools button").click()
        assert page.title().endswith("· prunecheck")
        assert page.locator("h1").is_visible()
        assert page.locator("h1").inner_text() == " ".join(text.split())
        assert wrong == []


def test_content_security_policy_blocks_injected_scripts(browser: Browser, full: Path, tmp_path: Path) -> None:
    html = full.read_text(encoding="utf-8")
    bad = tmp_path / "bad.html"
    bad.write_text(html.replace("</main>", "<script>document.title='owned'</script></main>"), encoding="utf-8")
    with opened(browser, bad) as (page, wrong):
        assert page.title() != "owned"
        assert any("Content Security Policy" in line for line in wrong)


def test_links_to_sections_work_in_the_frame_of_a_notebook(
    browser: Browser, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(notebook, "_display", lambda mime: shown.append(mime["text/html"]))
    notebook.show_page(full.read_text(encoding="utf-8"), "Page")
    host = tmp_path / "notebook.html"
    host.write_text(f"<!DOCTYPE html><title>notebook</title>{shown[0]}", encoding="utf-8")
    with opened(browser, host) as (page, wrong):
        page.frames[1].click('nav a[href="#controls"]')
        page.frames[1].wait_for_function("location.hash === '#controls' && scrollY > 0")
        assert "prunecheck" in page.frames[1].title()
    assert not wrong
