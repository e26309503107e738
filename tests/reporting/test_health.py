"""Collapse and effective sparsity, counted as the verdict counts them."""

from __future__ import annotations

from dataclasses import replace

from prunecheck.reporting import Evidence
from prunecheck.reporting.cost import cost_sentence
from prunecheck.reporting.health import health_sentences, health_table
from prunecheck.reporting.summary import arms
from tests.reporting import sample


def evidence(*accuracies: float, line: float | None = None, **more: object) -> Evidence:
    rows = [
        {"method": "snip", "check": "clean", "sparsity": 0.9, "seed": i, "accuracy": a, "n_test": 10, **more}
        for i, a in enumerate(accuracies)
    ]
    return Evidence("x", rows, replace(sample.verdict(), methods=(), checks=()), collapse_line=line)


def test_runs_at_or_below_the_line_collapsed() -> None:
    found = arms(evidence(0.1, 0.11, 0.9, line=0.11, effective_sparsity=0.934))
    assert health_sentences(found) == [
        "Of 3 trained tickets, 2 collapsed to chance and 0 diverged.",
        "Collapsed most often: snip under clean at 90%: 2 of 3.",
        "The effective sparsity, which counts weights on no path from input to output as removed, exceeds the nominal "
        "one by 3.40 points at most (snip under clean at 90%: 93.40%).",
    ]
    table = health_table(found)
    assert table is not None
    assert table.rows[0][-2:] == ("2 of 3", "0 of 3")


def test_where_nobody_can_tell_nothing_is_said_of_collapse() -> None:
    found = arms(evidence(0.1, 0.9))
    assert health_sentences(found) == ["Of 2 trained tickets, 0 diverged."]
    assert health_table(found) is None


def test_a_rows_own_word_comes_before_the_line() -> None:
    (arm,) = arms(evidence(0.1, 0.9, line=0.2, collapsed=False))
    assert arm.collapsed == 0


def test_the_cost_in_a_sentence() -> None:
    assert cost_sentence({}) == ""
    said = cost_sentence(
        {
            "trainings": 99,
            "trainings shared": 1,
            "trainings with every seed everywhere": 140,
            "trainings spared by adaptive seeds": 41,
        }
    )
    assert said == (
        "99 trainings in all. 1 more training would have been needed without sharing between arms. "
        "41 of 140 trainings were spared: more seeds came only where a verdict was open."
    )
