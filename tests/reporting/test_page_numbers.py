"""Every number that the page prints stands in results.csv or verdicts.json, or is the mean or an extreme of an arm."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prunecheck.reporting import write
from tests.reporting import sample
from tests.reporting.dom import Node, parse

NUMBER = re.compile(r"(?<![\w.,])[+\N{MINUS SIGN}-]?\d[\d,]*(?:\.\d+)?(?![\w])")
SECTIONS = ("answer", "evidence", "controls", "accuracy", "health")
COUNTS = 30
"""whole numbers up to here count seeds, checks, controls and layers"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(sample.data(), tmp_path_factory.mktemp("report")).parent


def test_every_number_on_the_page_is_in_the_files_beside_it(folder: Path) -> None:
    found = list(printed((folder / "index.html").read_text(encoding="utf-8")))
    assert len(found) > 1000
    assert missing(found, file_numbers(folder)) == []


def test_number_that_is_in_no_file_is_found(folder: Path) -> None:
    html = (folder / "index.html").read_text(encoding="utf-8")
    changed = html.replace('<span class="word">91.5%', '<span class="word">67.89%').replace("+4.30", "+54.32")
    assert changed.count('"word">67.89%') == 1
    absent = missing(list(printed(changed)), file_numbers(folder))
    assert {text.lstrip("+") for text in absent} == {"67.89", "54.32"}


def printed(html: str) -> Iterator[str]:
    """The numbers in the text of the page's results, without the ticks of axes."""
    tree = parse(html)
    for text in [tree.one("header").text, *(visible(tree.by_id(name)) for name in SECTIONS)]:
        yield from NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))


def visible(node: Node) -> str:
    parts = [node.texts[0]] if node.texts else []
    for i, child in enumerate(node.children):
        parts += ["" if child.tag == "svg" else visible(child), node.texts[i + 1]]
    return " ".join(parts)


def file_numbers(folder: Path) -> list[float]:
    values = list(json_numbers(json.loads((folder / "verdicts.json").read_text())))
    arms: dict[tuple[str, ...], list[float]] = {}
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values += [float(text) for text in row.values() if NUMBER.fullmatch(text)]
            for column in ("accuracy", "effective_sparsity"):
                arms.setdefault((column, row["method"], row["check"], row["sparsity"]), []).append(float(row[column]))
    for of in arms.values():
        values += [sum(of) / len(of), min(of), max(of)]
    values.append(float(sum(len(of) for (column, *_), of in arms.items() if column == "accuracy")))
    gaps = [sum(of) / len(of) - float(place[3]) for place, of in arms.items() if place[0] == "effective_sparsity"]
    values.append(max(gaps))
    return [v * factor for v in values for factor in (1, 100)]


def json_numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from json_numbers(key)
            yield from json_numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from json_numbers(one)
    elif isinstance(value, str):
        yield from (float(text.replace(",", "")) for text in NUMBER.findall(value))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value)


def missing(found: list[str], known: list[float]) -> list[str]:
    """The printed numbers that are no rounding of a known one."""
    absent = []
    for text in dict.fromkeys(found):
        value, places = float(text.replace(",", "")), len(text.partition(".")[2])
        is_count = not places and 0 <= value <= COUNTS
        if not is_count and not any(abs(one - value) <= 0.5000001 * 10**-places for one in known):
            absent.append(text)
    return absent
