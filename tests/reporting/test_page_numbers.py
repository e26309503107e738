"""Every number that the page prints stands in results.csv or verdicts.json, or is the mean or an extreme of an arm."""

from __future__ import annotations

import csv
import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, geometric_mean, stdev
from typing import Any

import pytest

from prunecheck.reporting import write
from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.language import LanguageReport, write_language
from tests.reporting import sample
from tests.reporting.dom import Node, parse
from tests.statistics.test_language_table import write as write_language_tables

NUMBER = re.compile(r"(?<![\w.,])[+\N{MINUS SIGN}-]?\d[\d,]*(?:\.\d+)?(?![\w])")
SECTIONS = (
    "answer",
    "evidence",
    "margins",
    "controls",
    "accuracy",
    "published",
    "shares",
    "masks",
    "health",
    "perplexity",
)
COUNTS = 30
"""whole numbers up to here count seeds, checks, controls and layers"""
COST = {
    "trainings": 451,
    "trainings shared": 121,
    "trainings with every seed everywhere": 632,
    "trainings spared by adaptive seeds": 181,
    "seconds": 48_211.0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section but that of margins."""
    return write(replace(sample.data(), cost=COST), tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a real verdict, which has curves over the margin."""
    folder, noise = tmp_path_factory.mktemp("judged"), random.Random(0)
    lines = ["method,check,sparsity,seed,accuracy,n_test"]
    arms = [("dense", "clean", "", 0.934), ("snip", "clean", 0.9, 0.921), ("snip", "random_labels", 0.9, 0.873)]
    arms += [
        ("grasp", "clean", 0.9, 0.918),
        ("grasp", "random_labels", 0.9, 0.917),
        ("random_ticket", "clean", 0.9, 0.909),
    ]
    for method, check, sparsity, mean in arms:
        lines += [f"{method},{check},{sparsity},{seed},{mean + noise.gauss(0, 0.002):.4f},10000" for seed in range(7)]
    (folder / "t.csv").write_text("\n".join(lines))
    return write(data_of_table(folder / "t.csv", classes=10), folder / "report").parent


@pytest.mark.parametrize(
    ("which", "sections"),
    [
        ("folder", {*SECTIONS} - {"margins", "perplexity"}),
        ("judged", {"answer", "evidence", "margins", "controls", "accuracy"}),
    ],
)
def test_every_number_on_the_page_is_in_the_files_beside_it(
    which: str, sections: set[str], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which)
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert {name for name in SECTIONS if f'<section id="{name}"' in html} == sections
    found = list(printed(html))
    assert len(found) > 150
    assert missing(found, file_numbers(folder)) == []


def test_every_number_on_the_page_of_a_language_model_is_in_the_files_beside_it(tmp_path: Path) -> None:
    write_language_tables(tmp_path)
    data = data_of_table(tmp_path / "results.csv")
    assert isinstance(data, LanguageReport)
    rows = [{**row, "perplexity": math.exp(row["nll"])} for row in data.rows]
    folder = write_language(replace(data, rows=rows), tmp_path / "page").parent
    html = (folder / "index.html").read_text(encoding="utf-8")
    found = list(printed(html))
    assert len(found) > 50
    known = [*file_numbers(folder), *language_numbers(folder)]
    assert missing(found, known) == []
    assert missing(list(printed(html.replace("dense model</dt><dd>", "dense model</dt><dd>9.876 "))), known) == [
        "9.876"
    ]


def test_cost_is_on_the_page_and_in_the_files(folder: Path) -> None:
    found = set(printed((folder / "index.html").read_text(encoding="utf-8")))
    assert {"451", "121", "181", "632"} <= found
    assert json.loads((folder / "verdicts.json").read_text())["report"]["cost"] == COST


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('<span class="word">91.5%', '<span class="word">67.89%'),
        ("+4.30", "+54.32"),
        ("0.179", "0.321"),
        ("451 trainings", "459 trainings"),
        ("92.81", "57.13"),
    ],
)
def test_number_that_is_in_no_file_is_found(text: str, other: str, folder: Path) -> None:
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert text in html
    absent = missing(list(printed(html.replace(text, other))), file_numbers(folder))
    (number,) = NUMBER.findall(other)
    assert [found.lstrip("+") for found in absent] == [number.lstrip("+")]


def printed(html: str) -> Iterator[str]:
    """The numbers in the text of the page's results and of its cost, without the ticks of axes."""
    tree = parse(html)
    there = {node.attributes.get("id") for node in tree.walk()}
    parts = [visible(tree.one("header")), *(visible(tree.by_id(name)) for name in SECTIONS if name in there)]
    if "provenance" in there:
        cost = tree.by_id("provenance")
        parts += [visible(node) for node in cost.walk() if node.attributes.get("class") in ("lead", "more")][:2]
    for text in parts:
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
            for column in {"accuracy", "effective_sparsity"} & set(row):
                arms.setdefault((column, row["method"], row["check"], row["sparsity"]), []).append(float(row[column]))
    for of in arms.values():
        values += [sum(of) / len(of), min(of), max(of)]
    values.append(float(sum(len(of) for (column, *_), of in arms.items() if column == "accuracy")))
    report = json.loads((folder / "verdicts.json").read_text()).get("report", {})
    for one in report.get("published", ()):
        sparsity = "" if one["sparsity"] is None else f"{one['sparsity']}"
        of = arms.get(("accuracy", one["method"], one["check"], sparsity))
        values += [sum(of) / len(of) - one["accuracy"]] if of else []
    for one in report.get("layers", ()):
        values += [kept / weights for kept, weights in zip(one["kept"], one["weights"], strict=True)]
    gaps = [sum(of) / len(of) - float(place[3]) for place, of in arms.items() if place[0] == "effective_sparsity"]
    values += [max(gaps)] if gaps else []
    return [v * factor for v in values for factor in (1, 100)]


def language_numbers(folder: Path) -> list[float]:
    """Means and standard deviations over the draws, their distance from the dense model, and geometric means of
    perplexities."""
    arms: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            arms.setdefault((row["method"], row["check"], row["sparsity"]), []).append(row)
    nats = {place: [float(row["nll"]) for row in rows] for place, rows in arms.items()}
    [dense] = [fmean(of) for (method, *_), of in nats.items() if method == "dense"]
    values = [fmean(of) for of in nats.values()]
    values += [fmean(of) - dense for of in nats.values()]
    values += [stdev(of) for of in nats.values() if len(of) > 1]
    return values + [geometric_mean(float(row["perplexity"]) for row in rows) for rows in arms.values()]


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
