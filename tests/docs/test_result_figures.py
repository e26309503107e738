"""The figures of the results are those that ``prunecheck paper`` draws from the raw rows beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prunecheck.cli import main
from tests.docs.blocks import DOCS

RESULTS = DOCS / "results"
FIGURES = {
    "mnist-80-effects": "mnist",
    "mnist-95-effects": "mnist95",
    "cifar10-effects": "cifar10",
}


@pytest.mark.slow
@pytest.mark.parametrize(("figure", "study"), FIGURES.items())
def test_figure_of_the_results_is_what_its_rows_give(figure: str, study: str, tmp_path: Path) -> None:
    rows = RESULTS / "data" / study / "results.csv"
    assert main(["paper", str(rows), "--to", str(tmp_path), "--formats", "svg"]) == 0
    drawn, kept = (numbers(path) for path in (tmp_path / "effects.svg", RESULTS / "figures" / f"{figure}.svg"))
    assert len(drawn) == len(kept) > 100
    assert drawn == pytest.approx(kept, abs=0.05)


def numbers(figure: Path) -> list[float]:
    """The coordinates of *figure*: numbers with a decimal point."""
    return [float(one) for one in re.findall(r"-?\d+\.\d+", figure.read_text(encoding="utf-8"))]
