"""The example report was made by this version and agrees with its own data and with the README."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from prunecheck import __version__
from prunecheck.reporting.page import policy
from prunecheck.text import signed
from tests.reporting.dom import Node, parse

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "example" / "index.html"
PICTURE = ROOT / "docs" / "figures" / "example-report.png"
AGAIN = "make it again: python -m benchmarks.example_report"


@pytest.fixture(scope="module")
def tree() -> Node:
    return parse(PAGE.read_text(encoding="utf-8"))


def matrix(tree: Node) -> dict[tuple[str, str], tuple[str, str]]:
    """(method, check) -> the verdict's word (or the state of the control) and its effect, as the page shows them."""
    table = tree.one("table", "answers")
    heads = table.one("thead").all("th")
    columns = [(head.all("small", "code") or head.all("span", "code") or [head])[0].text for head in heads]
    found = {}
    for body in table.all("tbody"):
        for check, cell in zip(columns, body.all("td"), strict=True):
            if cell.all("a"):
                effect = cell.one("span", "effect").text.replace("−", "-")
                found[body.one("span", "name").text, check] = cell.one("span", "word").text[2:], effect
    return found


def test_example_page_table_equals_its_verdicts_json(tree: Node) -> None:
    told = json.loads("".join(tree.by_id("verdicts").texts))
    shown = matrix(tree)
    assert len(shown) > 6
    for check in told["checks"]:
        if check["control"] != "identity":
            word, effect = shown[check["method"], check["check"]]
            assert word == ("control ok" if check["control"] == "aa" else check["verdict"].lower())
            cell = check["pooled"] or check["cells"][0]
            drop, low, high = (signed(cell[name]) for name in ("mean_drop", "low", "high"))
            assert effect == f"{drop} [{low}, {high}]"


def test_example_page_states_versions_and_command(tree: Node) -> None:
    terms = [node.text for node in tree.by_id("provenance").one("dl", "provenance").all("dt")]
    values = [node.text for node in tree.by_id("provenance").one("dl", "provenance").all("dd")]
    made = dict(zip(terms, values, strict=True))
    assert made["prunecheck"] == __version__, AGAIN
    assert {"torch", "numpy", "machine", "plan", "data fingerprint"} <= set(made)
    assert tree.by_id("provenance").all("pre")[0].text == "prunecheck demo"


def test_readme_demo_equals_example_page(tree: Node) -> None:
    printed = re.search(r"<!-- demo -->\n```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert printed is not None
    lines = re.findall(r"^(\w*)\s+(\w+)\s+[●○◐–✓✗] ([a-z ]+?)\s+([-+]?[\d.]+ \[.*?\])$", printed[1], re.M)
    method, said = "", {}
    for name, check, word, effect in lines:
        method = name or method
        said[method, check] = word, effect
    assert said == matrix(tree)


def test_demo_decides_every_verdict_and_its_first_line_is_the_comparison_with_a_random_ticket(tree: Node) -> None:
    told = json.loads("".join(tree.by_id("verdicts").texts))
    assert {(m["method"], m["verdict"]) for m in told["methods"] if m["role"] != "reference"} == {
        ("snip", "FAILS"),
        ("lr_rewinding", "PASSES"),
    }
    assert [one["verdict"] for one in told["comparisons"]] == ["NOT BETTER"]
    assert not [check for check in told["checks"] if check["control"] != "aa" and check["verdict"] == "INCONCLUSIVE"]
    assert {control["status"] for control in told["controls"]} == {"ok"}
    printed = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- demo -->\n```text\n")[1].splitlines()
    answers = [line for line in printed if line and line[0] in "○◐▲▼✓✗–"]
    assert answers[0].startswith("○ snip against random_ticket: not better.")


def test_example_page_is_one_small_self_contained_file(tree: Node) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(text) < 1_500_000
    assert not re.search(r"https?:|url\(|@import|\bsrc=", text)
    (rules,) = [m.attributes["content"] for m in tree.all("meta") if "http-equiv" in m.attributes]
    (script,) = [s for s in tree.all("script") if "type" not in s.attributes]
    assert rules == policy("".join(tree.one("style").texts), "".join(script.texts))


def test_example_picture_size() -> None:
    assert PICTURE.stat().st_size <= 300_000
    with Image.open(PICTURE) as picture:
        assert picture.size[0] == 1200
