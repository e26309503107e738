"""Files for a paper on a study of language models."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from prunecheck.errors import StudyError
from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.language import LanguageReport
from prunecheck.reporting.language_paper import bibtex, methods_paragraph, papers, write_language_paper
from prunecheck.reporting.print_figures import draw
from prunecheck.statistics.language import margins_in_words
from tests.statistics.test_language_table import write


@pytest.fixture
def data(tmp_path: Path) -> LanguageReport:
    write(tmp_path)
    found = data_of_table(tmp_path / "results.csv")
    assert isinstance(found, LanguageReport)
    return found


def test_the_folder_has_figure_tables_and_numbers_with_equal_bytes(data: LanguageReport, tmp_path: Path) -> None:
    first = write_language_paper(data, tmp_path / "a", ("svg",))
    again = write_language_paper(data, tmp_path / "b", ("svg",))
    assert [path.name for path in first] == [
        "effects.svg",
        "verdicts.tex",
        "perplexity.tex",
        "tables.md",
        "methods.tex",
        "references.bib",
        "results.csv",
        "documents.csv",
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    figure = (tmp_path / "a" / "effects.svg").read_text()
    assert "increase in nats per token; band: margin 0.1" in figure
    assert "wanda, random tokens" in figure
    assert "accuracy" not in figure
    table = (tmp_path / "a" / "verdicts.tex").read_text()
    assert re.search(r"\\bullet\$~\$\+0\.\d{3} \[\+0\.\d{3}, \+0\.\d{3}\]\$", table)


def test_every_citation_of_the_paragraph_has_an_entry(data: LanguageReport) -> None:
    text, entries = methods_paragraph(data), bibtex(data)
    cited = {key for keys in re.findall(r"\\cite[pt]\{([^}]+)\}", text) for key in keys.split(",")}
    assert cited == set(re.findall(r"^@\w+\{([^,]+),", entries, re.MULTILINE))
    assert {"sun2024simple", "han2015learning", "cameron2011robust"} <= cited
    assert "on 12 documents (" in text
    assert "4 calibration draws" in text
    assert "Controls: A/A 1 of 1 ok and positive 1 of 1 ok." in text


def test_the_paragraph_claims_how_models_were_pruned_only_of_a_study(data: LanguageReport) -> None:
    assert "without retraining" not in methods_paragraph(data)
    ours = methods_paragraph(replace(data, study_toml="x", pruned="SmolLM2"))
    assert ours.startswith("We pruned a language model (SmolLM2) to 50\\% sparsity by magnitude")
    assert "without retraining" in ours
    assert "train" not in ours.replace("retraining", "")


def test_several_sparsities_have_a_row_each_and_their_rule(data: LanguageReport, tmp_path: Path) -> None:
    verdict = data.verdict
    checks = [replace(c, cells=(*c.cells, replace(c.cells[0], sparsity=0.7, margin=0.3))) for c in verdict.checks]
    two = replace(data, verdict=replace(verdict, checks=tuple(checks), margins={0.5: 0.1, 0.7: 0.3}))
    write_language_paper(two, tmp_path / "two", ("svg",))
    assert "band: margin at that sparsity" in (tmp_path / "two" / "effects.svg").read_text()
    rows = (tmp_path / "two" / "verdicts.tex").read_text()
    assert [rows.count(f"wanda & {percent}\\%") for percent in (50, 70)] == [1, 1]
    assert "\\citep{berger1982multiparameter}" in methods_paragraph(two)
    assert "berger1982" in bibtex(two)


def test_only_effects_can_be_drawn(data: LanguageReport) -> None:
    assert draw(data, "effects").axes
    with pytest.raises(StudyError, match="'accuracy' is not a figure of this study"):
        draw(data, "accuracy")


@pytest.mark.parametrize(
    ("method", "cited"),
    [
        ("wanda", ("sun2024simple",)),
        ("wanda-owl", ("sun2024simple", "yin2024outlier")),
        ("ria", ("zhang2024plug",)),
        ("mine", ()),
    ],
)
def test_methods_cite_their_papers(method: str, cited: tuple[str, ...]) -> None:
    assert papers(method) == cited


def test_margins_in_words() -> None:
    assert margins_in_words({0.8: 0.0333}) == "0.033 nats per token at 80%"
    assert margins_in_words({0.7: 0.02, 0.8: 0.05}) == "0.020 nats per token at 70% and 0.050 at 80%"
    assert margins_in_words({0.7: 0.05, 0.8: 0.05}) == "0.050 nats per token"
    assert margins_in_words({}) == ""
