"""Strips stay small however many seeds there are."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from prunecheck.reporting.page import page
from prunecheck.reporting.scales import effects_axis
from prunecheck.reporting.strips import by_seed, strip, tip
from tests.reporting import sample
from tests.reporting.dom import parse

AXIS = effects_axis(0.84, [-3, 3])


def with_seeds(n: int) -> dict[str, float]:
    rng = random.Random(1)
    return {str(i): rng.gauss(0.2, 0.5) for i in range(n)}


def dots(drawing: str) -> list[str]:
    (path,) = [p for p in parse(drawing).all("path") if p.attributes["class"] == "dots"]
    return re.findall(r"M([\d.]+) 13h0", path.attributes["d"])


def test_few_seeds_are_one_dot_each() -> None:
    assert len(dots(strip(sample.cell(0.9, with_seeds(10)), AXIS))) == 10


def test_dots_of_many_seeds_that_cover_each_other_are_drawn_once() -> None:
    found = dots(strip(sample.cell(0.9, with_seeds(5000)), AXIS))
    assert len(found) == len(set(found)) < 500
    assert len(found) > 100


def test_few_seeds_are_listed_and_many_are_summed_up() -> None:
    few = sample.cell(0.9, {"10": 0.5, "9": -0.25})
    assert by_seed(few, 12) == "9: -0.25, 10: +0.50"
    many = sample.cell(0.9, {str(i): i / 100 for i in range(101)})
    assert by_seed(many, 12) == "0.00 to +1.00, half of them from +0.25 to +0.75, median +0.50"
    assert "101 seeds: 0.00 to +1.00" in tip(many)


def test_seeds_with_nan_differences_are_skipped_in_strips() -> None:
    nan = replace(sample.cell(0.9, with_seeds(30)), differences={str(i): float("nan") for i in range(30)})
    assert by_seed(nan, 12) == "n/a"
    assert "dots" not in strip(nan, AXIS)


def test_page_of_many_pairs_has_no_embedded_json() -> None:
    whole = sample.data()
    check = replace(whole.verdict.checks[0], cells=(sample.cell(0.9, with_seeds(6000)),), pooled=None)
    html = page(replace(whole, verdict=replace(whole.verdict, checks=(check,))))
    assert 'id="verdicts"' not in html
    assert 'id="verdicts"' in page(whole)
