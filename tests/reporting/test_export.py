"""CSV, Markdown and LaTeX: complete, stable, and harmless to the program that reads them."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from dataclasses import replace

import pytest

from prunecheck.reporting.answers import answers
from prunecheck.reporting.export import csv_columns, latex_accuracies, latex_verdicts, results_csv, tex, verdict_table
from prunecheck.reporting.markdown import markdown
from prunecheck.reporting.sections import PUBLISHED_EXPLANATION
from prunecheck.reporting.summary import arms
from tests.reporting import sample
from tests.reporting.payloads import PAYLOADS

ROW = {"method": "snip", "check": "clean", "sparsity": 0.9, "seed": 0, "accuracy": 0.1 + 0.2, "n_test": 100}


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_keeps_every_number_in_full() -> None:
    (row,) = read(results_csv([ROW]))
    assert {k: json.loads(row[k]) for k in ("sparsity", "seed", "accuracy", "n_test")} == {
        k: ROW[k] for k in ("sparsity", "seed", "accuracy", "n_test")
    }


def test_csv_never_touches_a_negative_number() -> None:
    (row,) = read(results_csv([{**ROW, "loss": -0.5, "shift": -3}]))
    assert (row["loss"], row["shift"]) == ("-0.5", "-3")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_csv_text_is_never_a_formula(text: str) -> None:
    (row,) = read(results_csv([{**ROW, "method": text, text: 1}]))
    assert all(not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    assert row["method"][0] == "'"


def test_csv_columns_come_in_a_fixed_order() -> None:
    rows = [{"zeta": 1, **ROW, "alpha": 2}, {**ROW, "best_accuracy": 0.3}]
    assert csv_columns(rows) == [
        "method",
        "check",
        "sparsity",
        "seed",
        "accuracy",
        "n_test",
        "best_accuracy",
        "alpha",
        "zeta",
    ]


def test_csv_is_the_same_for_any_order_of_rows() -> None:
    rows = list(sample.rows(sample.verdict()))
    text = results_csv(rows)
    random.Random(1).shuffle(rows)
    assert results_csv(rows) == text


def test_csv_sorts_seeds_as_numbers() -> None:
    assert [r["seed"] for r in read(results_csv([{**ROW, "seed": s} for s in (10, 9, 2)]))] == ["2", "9", "10"]


def test_csv_writes_absence_truth_and_lists() -> None:
    (row,) = read(results_csv([{**ROW, "sparsity": None, "collapsed": True, "dead_layers": ["a", "b"]}]))
    assert (row["sparsity"], row["collapsed"], row["dead_layers"]) == ("", "true", "a;b")


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_csv_has_one_line_a_row_whatever_the_text(payload: str) -> None:
    text = results_csv([{**ROW, "method": payload}])
    text.encode("utf-8")
    assert text.count("\n") == 2
    assert len(read(text)) == 1


def test_the_verdict_table_holds_methods_by_checks() -> None:
    verdict = sample.verdict()
    head, *body = verdict_table(verdict)
    assert head == ["method", *sample.CHECKS]
    assert [row[0] for row in body] == list(sample.DROPS)
    one = verdict.checks[-1]
    assert body[-1][-1] == f"depends  {one.pooled.mean_drop:+.2f} [{one.pooled.low:+.2f}, {one.pooled.high:+.2f}]"


def test_combination_that_was_not_run_is_empty_in_the_table() -> None:
    verdict = sample.verdict()
    table = verdict_table(replace(verdict, checks=verdict.checks[1:]))
    assert table[1][table[0].index("random_labels")] == ""


def test_names_that_look_alike_when_cut_keep_their_own_numbers() -> None:
    verdict = sample.verdict()
    long = "m" * 90
    first, last = (replace(c, method=f"{long}{i}") for i, c in enumerate((verdict.checks[0], verdict.checks[-5])))
    both = replace(verdict, methods=(), checks=(first, last))
    assert [row[1].split()[0] for row in verdict_table(both)[1:]] == ["does", "depends"]
    assert r"$\circ$~$+0.08$" in latex_verdicts(replace(sample.plain(), verdict=both))


def test_the_table_leaves_out_what_only_controls_use() -> None:
    verdict = sample.verdict()
    planted = replace(verdict.checks[0], check="planted_0.25", control="planted")
    assert "planted_0.25" not in verdict_table(replace(verdict, checks=(*verdict.checks, planted)))[0]


def test_markdown_has_the_sections_of_the_page() -> None:
    data = sample.data()
    text = markdown(data)
    assert text == markdown(data)
    assert text.startswith("# cifar10-resnet32\n")
    for control in data.verdict.controls:
        assert control.sentence in text
    for answer in answers(data):
        assert answer.verdict is not None
        assert f"**{answer.method}: {answer.verdict.lower()}.** {answer.sentence}" in text
    rows = [line for line in text.splitlines() if line.startswith("| lr_rewinding | ")]
    assert rows[0].count("● depends") == 5


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_markdown_escapes_names(payload: str) -> None:
    text = markdown(sample.hostile(payload))
    text.encode("utf-8")
    plain = markdown(sample.hostile("harmless")).splitlines()
    lines = text.splitlines()
    assert [line[:2] for line in lines if line.startswith(("#", "|", ">"))] == [
        line[:2] for line in plain if line.startswith(("#", "|", ">"))
    ]
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("| ")}
    assert cells == {len(re.findall(r"(?<!\\)\|", line)) for line in plain if line.startswith("| ")}
    assert not re.search(r"<[a-zA-Z/!]|://|(?<!\\)\]\(|@\w", text)


def test_latex_is_a_booktabs_table_with_one_column_per_check() -> None:
    text = latex_verdicts(sample.data())
    assert r"\begin{tabular}{llllll}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].strip().splitlines()[1:]
    assert len(body) == 5
    assert all(line.count("&") == 5 and line.endswith(r" \\") for line in body)
    assert body[-1].startswith(r"lr rewinding & $\bullet$~$+4.30$ $[+4.11, +4.49]$")


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_latex_escapes_names(payload: str) -> None:
    commands = set(re.findall(r"\\[a-zA-Z]+", latex_verdicts(sample.hostile("harmless"))))
    text = latex_verdicts(sample.hostile(payload))
    known = {r"\textbackslash", r"\textasciitilde", r"\textasciicircum"}
    assert set(re.findall(r"\\[a-zA-Z]+", text)) <= commands | known
    assert len(re.findall(r"(?<!\\)%", text)) == 0
    assert text.count("\n") == latex_verdicts(sample.hostile("harmless")).count("\n")


def test_tex_escapes_every_special_character() -> None:
    assert tex("a_b% $#&{}~^\\") == (r"a\_b\% \$\#\&\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}")


def test_latex_has_the_accuracy_of_every_arm() -> None:
    text = latex_accuracies(sample.data())
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].strip().splitlines()[1:]
    (arm,) = [a for a in arms(sample.data()) if (a.method, a.check, a.sparsity) == ("snip", "clean", 0.9)]
    (row,) = [line for line in body if line.startswith("snip & clean")]
    assert row.split(" & ")[2] == f"{100 * arm.mean:.2f} [{100 * arm.low:.2f}, {100 * arm.high:.2f}]"
    assert len(body) == 30


def test_markdown_has_published_numbers() -> None:
    text = markdown(replace(sample.data(), unfinished="Not finished: 37 of 99 trainings."))
    assert "> Not finished: 37 of 99 trainings." in text
    assert text.index("> Not finished") < text.index("## The answer")
    row = next(line for line in text.splitlines() if line.startswith("| snip | clean | 90% | 92.81%"))
    assert "Su et al. 2020, recalled" in row
    assert PUBLISHED_EXPLANATION.split(".")[0] in text


def test_markdown_lists_dense_networks_of_other_lengths() -> None:
    longer = [{**ROW, "method": m, "sparsity": None, "accuracy": a} for m, a in (("dense", 0.94), ("dense_long", 0.95))]
    base = sample.plain()
    assert "Dense networks: dense 94.00% (1 seed) and dense_long 95.00% (1 seed)." in markdown(
        replace(base, rows=[*base.rows, *longer])
    )
