"""The report of a study of language models."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.language import LanguageReport, facts, language_markdown, language_page, method_lines
from tests.reporting.dom import parse
from tests.statistics.test_language_table import write


@pytest.fixture
def data(tmp_path: Path) -> LanguageReport:
    write(tmp_path)
    found = data_of_table(tmp_path / "results.csv")
    assert isinstance(found, LanguageReport)
    rows = [{**row, "perplexity": 30.0 if row["method"] == "wanda" else 40.0} for row in found.rows]
    return replace(found, rows=rows)


def test_every_method_has_its_perplexity_its_lead_and_what_it_needs(data: LanguageReport) -> None:
    lines = {one.method: one for one in method_lines(data)}
    wanda = lines["wanda"]
    assert wanda.verdict == "FAILS"
    assert wanda.text.startswith("Perplexity 30.00 at 50%. Better than magnitude: lead +0.3")
    assert wanda.losses.startswith("No loss beyond the margin with tokens in random order (")
    assert "Loses more than the margin with random tokens (+" in wanda.losses
    assert wanda.text.endswith(wanda.losses)
    assert (lines["magnitude"].verdict, lines["magnitude"].text) == ("", "Perplexity 40.00 at 50%.")


def test_methods_that_differ_by_less_than_the_margin_are_equal_within_it(data: LanguageReport) -> None:
    (lead,) = data.verdict.comparisons
    equal = replace(lead, verdict="NOT BETTER", equivalent=True)
    for one, words in (
        (equal, "Equal to magnitude within the margin"),
        (replace(equal, equivalent=False), "Not better"),
    ):
        found = replace(data, verdict=replace(data.verdict, comparisons=(one,)))
        assert words in {line.method: line.text for line in method_lines(found)}["wanda"]


def test_page_and_text_begin_with_the_dense_model_and_say_each_answer_once(data: LanguageReport) -> None:
    page, text = language_page(data), language_markdown(data)
    dense = f"{data.verdict.dense_perplexity:.2f}"
    assert page.index(dense) < page.index('id="answer"')
    assert text.index(dense) < text.index("## The answer")
    assert page.count("No loss beyond the margin with tokens in random order") == 1
    assert "**wanda: fails.** Perplexity 30.00" in text


def test_the_positive_control_is_the_last_column(data: LanguageReport) -> None:
    head = language_page(data).partition("<thead")[2].partition("</thead>")[0]
    assert head.index("shuffled") < head.index("rearranged")


def test_page_has_every_method_once_with_perplexity_lead_and_checks_in_words(data: LanguageReport) -> None:
    tree = parse(language_page(data))
    table = tree.one("table", "answers")
    assert [name.text for name in table.all("span", "name")] == ["wanda", "magnitude"]
    wanda = table.all("tbody")[0]
    cells = [cell.text for cell in wanda.all("td")]
    assert cells[0] == "perplexity30.00dense " + f"{data.verdict.dense_perplexity:.2f}"
    assert cells[1].startswith("lead over magnitude▲ better+0.3")
    heads = [head.text for head in table.one("thead").all("th")]
    assert "with tokens in random order shuffled_tokens" in heads
    assert tree.by_id("answer").one("p", "instrument").text.startswith("Controls. ")
    assert dict(facts(data))["sparsity"] == "50%"


def test_language_page_has_one_minus_sign_outside_the_raw_rows(data: LanguageReport) -> None:
    tree = parse(language_page(data))
    for section in ("answer", "perplexity", "evidence"):
        assert not re.search(r"(?<![\w.])-\d", tree.by_id(section).text)


def test_what_a_table_does_not_know_is_left_out(data: LanguageReport) -> None:
    known, unknown = data, replace(data, verdict=replace(data.verdict, unigram_nll=float("nan")))
    assert "token frequencies alone" in dict(facts(known))
    assert "token frequencies alone" not in dict(facts(unknown))
    assert "Pruned:" not in language_page(unknown)
    assert not re.search(r"\bnan\b", language_markdown(unknown))
