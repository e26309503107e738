"""The page: what it says equals the verdict, it needs nothing from outside, hostile text stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from prunecheck.errors import StoreError
from prunecheck.reporting import ReportData, summary, write
from prunecheck.reporting.check_names import check_name
from prunecheck.reporting.export import results_csv
from prunecheck.reporting.page import page
from prunecheck.reporting.publish import verdicts_csv
from prunecheck.reporting.text import effect, share
from prunecheck.statistics import verdict
from prunecheck.statistics.outcome import headline
from prunecheck.text import listing, signed
from tests.reporting import sample, test_margins
from tests.reporting.dom import Node, parse, shape
from tests.reporting.payloads import PAYLOADS

SECTIONS = [
    "answer",
    "evidence",
    "controls",
    "accuracy",
    "published",
    "shares",
    "masks",
    "curves",
    "health",
    "rows",
]


@pytest.fixture(scope="module")
def html() -> str:
    return page(sample.data())


@pytest.fixture(scope="module")
def tree(html: str) -> Node:
    return parse(html)


def test_the_same_evidence_gives_the_same_bytes(html: str) -> None:
    assert page(sample.data()) == html


def test_every_section_is_linked_in_the_navigation(tree: Node) -> None:
    ids = [n.attributes["id"] for n in tree.one("main").children]
    assert ids == [*SECTIONS, "provenance"]
    assert [a.attributes["href"] for a in tree.one("nav").all("a")] == [f"#{i}" for i in ids]


def test_ids_are_unique_and_every_link_inside_leads_somewhere(tree: Node) -> None:
    ids = [n.attributes["id"] for n in tree.walk() if "id" in n.attributes]
    assert len(ids) == len(set(ids))
    targets = [n.attributes["href"] for n in tree.all("a")]
    assert targets
    assert {t.removeprefix("#") for t in targets} <= set(ids)
    named = [n.attributes["aria-labelledby"] for n in tree.walk() if "aria-labelledby" in n.attributes]
    assert set(named) <= set(ids)


def cells(tree: Node) -> dict[tuple[str, str], Node]:
    """(method, column) -> cell of the table of answers; columns by identifier, the first is ``accuracy``."""
    table = tree.one("table", "answers")
    columns = [
        (th.all("small", "code") or th.all("span", "code") or [th])[0].text for th in table.one("thead").all("th")
    ]
    found = {}
    for body in table.all("tbody"):
        method = body.one("span", "name").text
        for column, cell in zip(columns, body.all("td"), strict=True):
            found[method, column] = cell
    return found


def test_table_of_answers_shows_the_verdicts(tree: Node) -> None:
    verdict = sample.verdict()
    found = cells(tree)
    assert len(found) == len(sample.ACCURACY) * (1 + len(sample.CHECKS))
    for check in verdict.checks:
        cell = found[check.method, check.check]
        word = "control ok" if check.control == "aa" else check.verdict.lower()
        assert cell.one("span", "word").text.split(" ", 1)[1] == word
        assert check.pooled is not None
        shown = cell.one("span", "effect").text.split()[0].replace("−", "-")
        assert float(shown) == pytest.approx(check.pooled.mean_drop, abs=0.006)


def test_table_of_answers_has_accuracies_of_method_random_ticket_and_dense_network(tree: Node) -> None:
    found = cells(tree)
    lines = summary.arms(sample.data())
    for method in ("snip", "random_ticket"):
        numbers = [share(arm.mean) for arm in lines if (arm.method, arm.check) == (method, "clean")]
        assert found[method, "accuracy"].one("span", "word").text == listing(numbers)
    ticket = listing([share(arm.mean) for arm in lines if (arm.method, arm.check) == ("random_ticket", "clean")])
    assert found["snip", "accuracy"].one("small").text == f"random ticket {ticket}, dense 94.1%"
    assert found["random_ticket", "accuracy"].one("small").text == "dense 94.1%"


def test_checks_are_named_in_words_and_what_they_destroy_is_there_for_hovering_and_print() -> None:
    words = {"random_pixels": "Prune on images whose pixels are scrambled."}
    head = next(
        th
        for th in parse(page(replace(sample.data(), check_words=words))).one("table", "answers").all("th")
        if "random_pixels" in th.text
    )
    assert head.text.startswith("with scrambled images random_pixels")
    assert head.attributes["data-tip"] == head.one("small", "destroys").text == words["random_pixels"]


def test_metric_other_than_accuracy_is_named_and_explained() -> None:
    text = page(replace(sample.data(), verdict=replace(sample.verdict(), metric="p_correct")))
    answer = parse(text).by_id("answer")
    assert "the drop in probability of the right class when" in answer.one("caption").text
    for section in ("answer", "evidence"):
        assert "points of p_correct" in parse(text).by_id(section).text
    assert not re.search("points of accuracy|accuracy points", text)
    assert "the mean probability that a network gives to the right class" in answer.text
    assert "probability" not in parse(page(sample.data())).by_id("answer").text


def test_lead_over_the_random_ticket_stands_beside_the_method() -> None:
    found = cells(parse(page(replace(sample.data(), verdict=test_margins.verdict()))))
    lead = found["snip", "random_ticket"]
    assert lead.one("span", "word").text.split(" ", 1)[1] in ("better", "not better", "worse", "inconclusive")
    assert found["random_ticket", "random_ticket"].text.endswith("the reference")


def test_a_control_that_is_ok_never_has_the_colour_of_a_failure(tree: Node) -> None:
    cell = cells(tree)["random_ticket", "layerwise_rearrange"]
    assert cell.attributes["class"] == "v-ok"
    (opened,) = [n for n in tree.all("details", "check") if n.attributes["data-text"].endswith("control ok")]
    assert {"v-ok"} == {c for n in opened.walk() for c in n.attributes.get("class", "").split() if c.startswith("v-")}


def test_answers_and_controls_on_the_page_are_those_of_the_verdict(tree: Node) -> None:
    verdict = sample.verdict()
    heads = tree.one("table", "answers").all("tr", "method")
    assert [head.one("span", "name").text for head in heads] == [m.method for m in verdict.methods]
    assert [h.one("span", "badge").text.split()[1] for h in heads] == [m.verdict.lower() for m in verdict.methods]
    sentences = {head.one("span", "name").text: head.one("span", "sentence").text for head in heads}
    assert sentences["lr_rewinding"].startswith("Loses more than the margin with random labels, scrambled images")
    assert sentences["snip"].startswith("No loss beyond the margin with random labels")
    controls = [li.one("p").text for ul in tree.all("ul", "controls") for li in ul.children]
    assert sorted(controls) == sorted(c.sentence for c in verdict.controls)
    assert "2 of 3 controls ok; identity weak; not run: planted effect." in tree.by_id("answer").text


def test_an_opened_check_shows_every_sparsity_and_every_seed(tree: Node) -> None:
    opened = tree.all("details", "check")
    checks = sample.verdict().checks
    assert len(opened) == len(checks)
    found = {(n.attributes["data-text"]): n for n in opened}
    for check in checks:
        word = "control ok" if check.control == "aa" else check.verdict.lower()
        node = found[f"{check.method} {check.check} {check_name(check.check)} {word}"]
        lines = node.one("ul", "lanes").children
        effects = [line.one("span", "effect").text.replace("−", "-") for line in lines]
        assert effects == [effect(c) for c in (*check.cells, check.pooled)]
        for cell, text in zip(check.cells, node.one("dl", "said").all("dd"), strict=False):
            for seed, difference in cell.differences.items():
                assert f"{seed}: {signed(difference)}".replace("-", "−") in text.text


def test_the_verdict_inside_for_machines_is_the_verdict(tree: Node) -> None:
    assert json.loads("".join(tree.by_id("verdicts").texts)) == sample.verdict().to_dict()


def test_style_and_script_are_allowed_by_their_hashes_and_nothing_else_is(tree: Node) -> None:
    (policy,) = [m.attributes["content"] for m in tree.all("meta") if "http-equiv" in m.attributes]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    (script,) = [s for s in tree.all("script") if "type" not in s.attributes]
    for block, rule in ((tree.one("style"), "style-src"), (script, "script-src")):
        digest = base64.b64encode(hashlib.sha256("".join(block.texts).encode()).digest()).decode()
        assert rules.pop(rule) == f"'sha256-{digest}'"
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}


def test_nothing_is_loaded_and_nothing_is_styled_or_scripted_inline(html: str, tree: Node) -> None:
    assert not re.search(r"https?:|url\(|@import|\bsrc=", html)
    for node in tree.walk():
        assert node.tag not in {"iframe", "object", "embed", "base", "form", "img"}
        assert not [a for a in node.attributes if a == "style" or a.startswith("on")]


def test_tables_have_captions_and_scopes_and_drawings_have_names(tree: Node) -> None:
    for table in tree.all("table"):
        assert table.one("caption").text
        assert all("scope" in th.attributes for th in table.all("th"))
    for drawing in tree.all("svg"):
        if drawing.attributes.get("aria-hidden") != "true":
            assert drawing.attributes["role"] == "img"
            assert drawing.attributes["aria-label"]
            assert drawing.one("desc").text
    assert [len(tree.all(tag)) for tag in ("h1", "main", "nav", "header", "footer")] == [1, 1, 1, 1, 1]


def test_every_verdict_has_a_symbol_and_a_word(tree: Node) -> None:
    words = [cell.one("span", "word") for (_, column), cell in cells(tree).items() if column != "accuracy"]
    for node in [*tree.all("span", "badge"), *[n for n in tree.all("span", "answer") if n.text], *words]:
        symbol, word = node.text.split(" ", 1)
        assert symbol in "●○◐–✓✗"
        assert word in {"depends", "does not depend", "inconclusive", "uninformative", "passes", "fails", "control ok"}


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_is_readable_in_light_and_dark(html: str, scheme: int) -> None:
    colours = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\n *\}", html, re.S)
    ]
    palette = colours[scheme]
    for name in ("ink", "soft", "link", "depends", "not", "open", "mute", "good"):
        assert contrast(palette[name], palette["paper"]) >= 4.5, name
    for name in ("depends", "not", "open", "good"):
        assert contrast(palette[name], palette[f"{name}-tint"]) >= 4.5, name
    for series in range(8):
        assert contrast(palette[f"c{series}"], palette["paper"]) >= 3.0, series


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast of two colours."""
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.fixture(scope="module")
def innocent() -> list[object]:
    return shape(parse(page(sample.hostile("harmless"))))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_hostile_text_changes_nothing_in_the_structure(payload: str, innocent: list[object]) -> None:
    html = page(sample.hostile(payload))
    html.encode("utf-8")
    assert not [c for c in html if not c.isprintable() and c != "\n"]
    assert shape(parse(html)) == innocent


def test_hostile_text_is_still_there_to_be_read() -> None:
    tree = parse(page(sample.hostile("<b>&amp;")))
    assert tree.one("h1").text == "<b>&amp;"
    assert tree.one("title").text == "<b>&amp; · prunecheck"


def test_a_plain_table_of_accuracies_makes_a_page_without_empty_sections() -> None:
    tree = parse(page(sample.plain()))
    ids = [n.attributes["id"] for n in tree.one("main").children]
    assert ids == ["answer", "evidence", "controls", "accuracy", "rows", "provenance"]
    assert tree.one("h1").text == "Do 5 pruning methods depend on what 5 checks destroy?"


def test_a_study_without_results_still_makes_a_page() -> None:
    empty = replace(sample.verdict(), methods=(), checks=(), controls=(), dense_accuracy=None, n_test=0, looks=())
    tree = parse(page(ReportData("empty", [], empty)))
    assert [n.attributes["id"] for n in tree.one("main").children] == ["answer", "controls", "rows", "provenance"]
    assert "No controls were run" in tree.by_id("controls").text


def test_cells_without_numbers_are_printed_but_not_drawn() -> None:
    nan = float("nan")
    verdict = sample.verdict()
    check = verdict.checks[0]
    bare = replace(
        check.cells[0], verdict="UNINFORMATIVE", mean_drop=nan, low=nan, high=float("inf"), sd=nan, differences={}
    )
    changed = replace(check, verdict="UNINFORMATIVE", cells=(bare,), pooled=None)
    html = page(ReportData("x", [], replace(verdict, checks=(changed,))))
    assert not re.search(r"\b(nan|inf)\b", html.split("<script")[0], re.IGNORECASE)
    assert "n/a" in parse(html).one("details", "check").text
    assert headline(changed) == bare


def test_the_banner_comes_before_every_answer() -> None:
    shouting = replace(sample.verdict(), banner="STUDY INVALID. The A/A control depends.")
    answer = parse(page(replace(sample.data(), verdict=shouting))).by_id("answer")
    tags = [n.attributes.get("class", n.tag) for n in answer.children]
    assert tags[:3] == ["h2", "banner", "scroll"]
    assert "The A/A control depends." in answer.one("div", "banner").text


def test_fifty_thousand_rows_make_a_page_of_bounded_size() -> None:
    judged = sample.verdict()
    few = sample.rows(judged)
    rows = [{**row, "seed": i // 450} for i, row in zip(range(50_000), few * 112, strict=False)]
    html = page(replace(sample.data(), rows=rows, verdict=judged))
    tree = parse(html)
    assert len(html) < 2_000_000
    assert len(tree.by_id("rows").one("tbody").children) == 500
    assert "49,500 more in results.csv" in tree.by_id("rows").text


FILES = ["index.html", "report.md", "results.csv", "verdicts.json"]


def test_four_files_with_the_report_in_them(tmp_path: Path) -> None:
    data = sample.data()
    path = write(data, tmp_path / "new" / "report")
    assert path == tmp_path / "new" / "report" / "index.html"
    assert sorted(p.name for p in path.parent.iterdir()) == FILES
    assert path.read_text(encoding="utf-8") == page(data)
    written = json.loads((path.parent / "verdicts.json").read_text())
    assert set(written.pop("report")) == {"layers", "masks", "published", "cost"}
    assert written == data.verdict.to_dict()


def test_writing_twice_leaves_the_same_bytes(tmp_path: Path) -> None:
    write(sample.data(), tmp_path)
    first = {name: (tmp_path / name).read_bytes() for name in FILES}
    write(sample.data(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first


def test_the_verdicts_file_is_sorted_and_plain(tmp_path: Path) -> None:
    write(sample.plain(), tmp_path)
    text = (tmp_path / "verdicts.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2) + "\n"


def test_failed_write_keeps_the_old_report_and_leaves_no_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sample.plain(), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        write(sample.data(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_hostile_text_reaches_the_disk_as_utf_8(tmp_path: Path) -> None:
    write(sample.hostile("\ud800\x00\u202e"), tmp_path)
    assert all((tmp_path / name).read_bytes().decode("utf-8") for name in FILES)


def test_a_real_verdict_makes_a_report_and_its_csv_gives_the_verdict_back(tmp_path: Path) -> None:
    dense = [
        {"method": "dense", "check": "clean", "sparsity": None, "seed": s, "accuracy": 0.941, "n_test": 10_000}
        for s in sample.SEEDS
    ]
    base = sample.plain()
    rows = [*base.rows, *dense]
    judged = verdict(rows)
    write(replace(base, rows=rows, verdict=judged), tmp_path)
    assert (tmp_path / "results.csv").read_text() == results_csv(rows)
    # as text: NaN does not equal itself in the fields of dataclasses from Python 3.13 on
    assert repr(asdict(replace(verdict(tmp_path / "results.csv"), study=judged.study))) == repr(asdict(judged))


def test_importing_the_report_is_light() -> None:
    heavy = "{'torch', 'matplotlib', 'jinja2', 'scipy', 'pandas'}"
    code = f"import prunecheck.reporting, prunecheck.reporting.paper, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_page_report_and_published_table_say_where_large_losses_count_up_to_a_limit(tmp_path: Path) -> None:
    accuracies = {"clean": [0.9] * 7, "random_labels": [0.82, 0.64, 0.852, 0.861, 0.772, 0.859, 0.872]}
    rows = [
        {"method": "mine", "check": check, "sparsity": 0.9, "seed": seed, "accuracy": accuracy, "n_test": 10_000}
        for check, arm in accuracies.items()
        for seed, accuracy in enumerate(arm)
    ]
    judged = verdict(rows, margin=0.8, chance=0.1)
    low = judged.checks[0].cells[0].low
    words = f"(at least {low:.2f}, counting larger differences as 4.00)"
    write(replace(sample.plain(), rows=rows, verdict=judged), tmp_path)
    assert words in (tmp_path / "report.md").read_text()
    text = parse((tmp_path / "index.html").read_text()).one("details", "check").text
    assert words in text
    assert "larger differences count as" in text
    [_, line] = verdicts_csv(judged).splitlines()
    assert line.split(",")[-2:] == ["7", "4.0"]
    assert json.loads((tmp_path / "verdicts.json").read_text())["checks"][0]["cells"][0]["limit"] == 4.0
