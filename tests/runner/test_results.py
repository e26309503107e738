"""What a study hands back: readable at a prompt, visible in a notebook, ready for a paper."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from prunecheck.errors import StudyError
from prunecheck.runner.results import Results
from tests.reporting import sample
from tests.reporting.dom import parse

from . import tiny


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return tiny.run(tmp_path_factory.mktemp("study"), seeds=3)


def test_a_prompt_shows_the_verdict_the_cost_and_where_the_page_is(results: Results) -> None:
    lines = repr(results).splitlines()
    assert lines[0].startswith("tiny: margin ")
    assert any(line.endswith(results.verdict.methods[0].sentence) for line in lines)
    assert lines[-2:] == [f"{results.plan.trainings} trainings in all.", f"Page: {results.page}"]


def test_a_notebook_shows_a_table_of_the_verdicts(results: Results) -> None:
    shown = parse(results._repr_html_())
    rows = shown.one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == [check.method for check in results.verdict.checks]
    for row, check in zip(rows, results.verdict.checks, strict=True):
        name, answer, drop = [cell.text for cell in row.all("td")]
        assert (name, answer[2:]) == (check.check, check.verdict.lower())
        assert float(drop.split()[0]) == pytest.approx(check.cells[0].mean_drop, abs=0.006)


def test_the_table_holds_the_verdicts_as_plain_values(results: Results) -> None:
    (row,) = results.table()
    cell = results.verdict.checks[0].cells[0]
    assert row == {
        "method": "snip", "check": "layerwise_rearrange", "verdict": cell.verdict,
        "mean_drop": cell.mean_drop, "low": None, "high": None, "seeds": 3,
    }  # fmt: skip
    assert not math.isfinite(cell.low)


def test_a_figure_shows_itself(results: Results) -> None:
    figure = results.figure("accuracy")
    assert [ax.get_title() for ax in figure.axes] == ["snip"]
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(StudyError, match=r"'accurracy' is not a figure of this study\. Did you mean 'accuracy'"):
        results.figure("accurracy")


def test_the_papers_folder(results: Results, tmp_path: Path) -> None:
    written = results.paper(tmp_path / "paper", ("svg",))
    assert [path.name for path in written] == [
        "accuracy.svg", "keep-shares.svg", "effects.svg", "verdicts.tex", "accuracy.tex", "tables.md", "methods.tex",
        "references.bib", "results.csv",
    ]  # fmt: skip
    with (tmp_path / "paper" / "results.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(results.rows)


def test_an_unfinished_study_says_so(results: Results) -> None:
    half = replace(results, data=replace(sample.data(), unfinished="Not finished: 37 of 99 trainings."))
    assert "Not finished: 37 of 99 trainings." in repr(half)
    assert "Not finished: 37 of 99 trainings." in parse(half._repr_html_()).text


def test_hostile_names_stay_text(results: Results) -> None:
    bad = replace(results, data=sample.hostile("<script>alert(1)</script>\u202e\x1b[2J"))
    shown = bad._repr_html_()
    assert not parse(shown).all("script")
    assert "alert(1)" in parse(shown).text
    assert all(c.isprintable() for c in repr(bad).replace("\n", "") + shown)
