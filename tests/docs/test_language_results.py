"""The tables of a page on language models, from a study whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs._reference import language_results, results

from tests.statistics.test_language_table import write


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "lm").mkdir()
    write(tmp_path / "lm")
    monkeypatch.setattr(results, "DATA", tmp_path)
    results.judged.cache_clear()
    results.raw_rows.cache_clear()
    return "lm"


def test_verdicts_name_the_margin_and_leave_controls_out_of_the_table(study: str) -> None:
    head, _, *body = language_results.language_verdicts(study).splitlines()
    assert head == "| method | random_tokens | shuffled_tokens |"
    cells = body[0].split(" | ")
    assert cells[0] == "| `wanda`"
    assert cells[1].startswith("**depends** +0.4")
    assert cells[2].startswith("**does not depend** ")
    assert "margin 0.100 at 50%. 2 of 2 controls ok. 12 documents" in body[-1]


def test_leads_are_in_nats_per_token(study: str) -> None:
    *_, line = language_results.language_leads(study).splitlines()
    assert line.startswith("| `wanda` | `magnitude` | **better** +0.3")


def test_every_arm_has_its_likelihood_and_the_spread_between_draws(study: str) -> None:
    lines = language_results.perplexities(study).splitlines()[2:]
    assert len(lines) == 7  # dense, magnitude, and five arms of wanda
    assert lines[0].startswith("| `dense` | clean |  | ")
    assert all("; 4)" in line for line in lines[1:])


def test_files_are_named_with_their_hashes(study: str) -> None:
    lines = results.provenance(study).splitlines()
    assert [line[: line.index("]")] for line in lines] == ["- [`results.csv`", "- [`documents.csv`"]
    assert "300 rows, one for each document of each network" in lines[1]
