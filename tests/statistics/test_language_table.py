"""results.csv and documents.csv of a language study, judged again."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunecheck.errors import StudyError
from prunecheck.reporting.export import results_csv
from prunecheck.statistics import verdict
from prunecheck.statistics.language import DenseModel, LanguageArms, LanguageVerdict, judge_language
from prunecheck.statistics.language_table import is_language_table
from prunecheck.statistics.recorded import judge_again

NAMES = tuple(f"text:{i}" for i in range(1, 13))
TOKENS = tuple(range(50, 62))
DROPS = {"random_tokens": 0.4, "shuffled_tokens": 0.0, "rearranged_rows": 5.0, "aa": 0.0}


def arms() -> LanguageArms:
    rng = np.random.default_rng(3)
    level = rng.normal(4, 0.5, len(NAMES))

    def networks(above: float) -> dict[int, tuple[float, ...]]:
        draws = range(4)
        return {s: tuple(level + above + rng.normal(0, 0.02) + rng.normal(0, 0.02, len(NAMES))) for s in draws}

    nll = {("magnitude", "clean", 0.5): networks(0.5), ("wanda", "clean", 0.5): networks(0.2)}
    nll |= {("wanda", check, 0.5): networks(0.2 + drop) for check, drop in DROPS.items()}
    dense = DenseModel(tuple(level - 1.0), 7.0, TOKENS)
    controls = frozenset(("rearranged_rows", "aa"))
    pairs = (("wanda", "magnitude"),)
    return LanguageArms(dense, nll, {0.5: 0.1}, "0.1 as chosen.", "rearranged_rows", "aa", controls, pairs, NAMES)


def write(folder: Path, record: bool = True) -> LanguageVerdict:
    """The files of a study in *folder*."""
    known, judged = arms(), judge_language("s", arms())
    networks = [("dense", "clean", None, 0, known.dense.nll)]
    networks += [(*place, seed, nll) for place, draws in known.nll.items() for seed, nll in draws.items()]  # type: ignore[misc]
    rows: list[dict[str, Any]] = []
    documents: list[dict[str, Any]] = []
    for method, check, sparsity, seed, nll in networks:
        place = {"method": method, "check": check, "sparsity": sparsity, "seed": seed}
        rows.append({**place, "nll": sum(nll) / len(nll), "perplexity": None})
        named = zip(NAMES, nll, TOKENS, strict=True)
        documents += [{**place, "document": name, "nll": value, "tokens": n} for name, value, n in named]
    (folder / "results.csv").write_text(results_csv(rows))
    (folder / "documents.csv").write_text(results_csv(documents))
    if record:
        (folder / "verdicts.json").write_text(json.dumps(judged.to_dict()))
    return judged


def numbers(found: LanguageVerdict) -> dict[str, tuple[Any, ...]]:
    pairs = {f"{c.method} {c.check}": (c.verdict, c.cells[0]) for c in found.checks}
    pairs |= {c.first: (c.verdict, c.cells[0]) for c in found.comparisons}
    return {name: (answer, *(round(x, 9) for x in (c.mean_drop, c.low, c.high))) for name, (answer, c) in pairs.items()}


def test_a_study_judged_again_from_its_tables_gives_its_own_verdicts(tmp_path: Path) -> None:
    study = write(tmp_path)
    again = verdict(tmp_path / "results.csv")
    assert isinstance(again, LanguageVerdict)
    assert numbers(again) == numbers(study)
    assert {m.method: m.sentence for m in again.methods} == {m.method: m.sentence for m in study.methods}
    assert (again.study, again.unigram_nll, again.margin_rule) == ("s", 7.0, "0.1 as chosen.")
    assert judge_again(tmp_path).changes == ()


def test_order_of_rows_and_spelling_of_numbers_change_nothing(tmp_path: Path) -> None:
    study = write(tmp_path)
    head, *lines = (tmp_path / "documents.csv").read_text().splitlines()
    other = [line.replace(",0.5,", ",50%,") for line in reversed(lines)]
    (tmp_path / "documents.csv").write_text("\n".join([head, *other]))
    again = verdict(tmp_path / "results.csv")
    assert isinstance(again, LanguageVerdict)
    assert numbers(again) == numbers(study)


def test_a_changed_likelihood_is_not_judged_as_the_study(tmp_path: Path) -> None:
    write(tmp_path)
    rows = list(csv.DictReader((tmp_path / "documents.csv").read_text().splitlines()))
    first, second = rows[0], rows[1]  # of one network, so that its mean stays
    first["nll"], second["nll"] = second["nll"], first["nll"]
    (tmp_path / "documents.csv").write_text(results_csv(rows))
    with pytest.raises(StudyError, match=r"is of other documents or networks\. Give the smallest difference"):
        verdict(tmp_path / "results.csv")
    with pytest.raises(StudyError, match="cannot be judged again"):
        judge_again(tmp_path)


def test_tables_without_a_study_are_judged_by_a_margin(tmp_path: Path) -> None:
    write(tmp_path, record=False)
    with pytest.raises(StudyError, match="no margin is known"):
        verdict(tmp_path / "results.csv")
    by_hand = verdict(tmp_path / "results.csv", 0.1, against="magnitude")
    assert {c.check: c.verdict for c in by_hand.checks} == {
        "random_tokens": "DEPENDS",
        "shuffled_tokens": "DOES NOT DEPEND",
        "rearranged_rows": "DEPENDS",
        "aa": "DOES NOT DEPEND",
    }
    assert [c.verdict for c in by_hand.comparisons] == ["BETTER"]
    share = verdict(tmp_path / "results.csv", "10% of loss of magnitude")
    assert share.margin == pytest.approx(0.15, abs=0.02)  # magnitude loses 1.5 nats
    assert json.loads(json.dumps(share.to_dict(), allow_nan=False))["unigram_nll"] is None


@pytest.mark.parametrize(
    ("margin", "message"),
    [("1 sd", "write nats per token"), (0, "above 0"), ("10% of loss of magnitud", "Did you mean 'magnitude'")],
)
def test_margins_that_language_models_do_not_have_are_refused(tmp_path: Path, margin: Any, message: str) -> None:
    write(tmp_path)
    with pytest.raises(StudyError, match=message):
        verdict(tmp_path / "results.csv", margin)


def test_options_of_accuracies_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path)
    for name, value in {"chance": 0.1, "classes": 10, "looks": (3, 5), "metric": "brier"}.items():
        with pytest.raises(StudyError, match=f"{name}: this is for tables of accuracies"):
            verdict(tmp_path / "results.csv", **{name: value})  # type: ignore[arg-type]


def changed(folder: Path, file: str, pattern: str, to: str) -> None:
    text = (folder / file).read_text()
    found = re.sub(pattern, to, text, count=1, flags=re.MULTILINE)
    assert found != text
    (folder / file).write_text(found)


@pytest.mark.parametrize(
    ("file", "pattern", "to", "message"),
    [
        (
            "documents.csv",
            r"^wanda,clean,0.5,0,text:3,.*\n",
            "",
            r"wanda x clean at 50%, seed 0 lacks document 'text:3'",
        ),
        ("documents.csv", r",text:2,", ",text:1,", r"line \d+: document 'text:1' of this network was already given"),
        ("documents.csv", r"^document|,tokens$", ",words", r"no column 'tokens'"),
        ("documents.csv", r"^(wanda.*),\d+$", r"\1,9", r"has 9 tokens here and \d+ above"),
        ("results.csv", r"^(wanda,clean,0.5,0),[^,]*", r"\1,1.5", r"nll is 1.5, but its documents"),
        ("results.csv", r"^wanda,clean,0.5,0.*\n", "", r"lacks wanda x clean at 50%, seed 0, which documents.csv has"),
        ("results.csv", r"^wanda,clean,0.5,0", "wanda,clean,0.5,99", r"seed 99 is not in documents.csv"),
        ("results.csv", r"^(wanda,clean,0.5,0),[^,]*", r"\1,nan", r"line \d+: nll is nan"),
    ],
)
def test_tables_that_disagree_are_refused_by_line(
    tmp_path: Path, file: str, pattern: str, to: str, message: str
) -> None:
    write(tmp_path)
    changed(tmp_path, file, pattern, to)
    with pytest.raises(StudyError, match=message):
        verdict(tmp_path / "results.csv")


def test_documents_beside_the_table_are_needed(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(StudyError, match=r"one row for each document. Give the results.csv"):
        verdict(tmp_path / "documents.csv")
    (tmp_path / "documents.csv").unlink()
    with pytest.raises(StudyError, match=r"documents.csv, which is not there"):
        verdict(tmp_path / "results.csv")


def test_a_table_with_accuracies_is_none_of_language_models(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("method,check,sparsity,seed,accuracy,nll,n_test\n")
    (tmp_path / "b.csv").write_text("method,check,sparsity,seed,nll\n")
    assert [is_language_table(tmp_path / name) for name in ("a.csv", "b.csv")] == [False, True]
    assert not is_language_table([{"nll": 1.0}])
