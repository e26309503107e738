"""Rows to arms, checked against sums done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunecheck.reporting import ReportData
from prunecheck.reporting.sections import cost_items
from prunecheck.reporting.summary import arms, natural, order, seeds
from prunecheck.reporting.views import facts, tally
from tests.reporting import sample


def data(*rows: dict[str, object]) -> ReportData:
    empty = replace(sample.verdict(), methods=(), checks=())
    full = [
        {"method": "snip", "check": "clean", "sparsity": 0.9, "seed": 0, "accuracy": 0.5, "n_test": 10} | r
        for r in rows
    ]
    return ReportData("x", full, empty)


def test_an_arm_is_the_mean_and_the_extremes_of_its_seeds() -> None:
    (arm,) = arms(data(*({"seed": s, "accuracy": a} for s, a in enumerate((0.5, 0.7, 0.9)))))
    assert (arm.n, arm.mean, arm.low, arm.high) == (3, pytest.approx(0.7), 0.5, 0.9)


def test_health_is_counted() -> None:
    (arm,) = arms(
        data(
            {"collapsed": True, "dead_layers": ["a", "b"], "effective_sparsity": 0.91},
            {"seed": 1, "diverged": True, "dead_layers": 0, "effective_sparsity": 0.93},
        )
    )
    assert (arm.collapsed, arm.diverged, arm.dead_layers) == (1, 1, "0 to 2")
    assert arm.effective_sparsity == pytest.approx(0.92)


def test_dense_and_broken_rows_are_no_arms() -> None:
    rows = data({"method": "dense", "sparsity": None}, {"accuracy": float("nan")}, {"seed": 2})
    assert [a.n for a in arms(rows)] == [1]
    assert order(rows).methods == ("snip",)


def test_the_order_of_rows_changes_nothing() -> None:
    full = sample.data()
    assert arms(replace(full, rows=tuple(reversed(full.rows)))) == arms(full)


def test_reference_methods_come_after_the_methods_under_test() -> None:
    full = sample.data()
    methods = tuple(replace(m, role="reference" if m.method == "random_ticket" else None) for m in full.verdict.methods)
    judged = replace(full, verdict=replace(full.verdict, methods=methods))
    assert order(judged).methods == ("snip", "grasp", "magnitude", "lr_rewinding", "random_ticket")
    assert tally(judged.verdict) == "Of 4 methods, 1 pass and 3 fail."


def test_seeds_sort_as_numbers() -> None:
    assert seeds([{"seed": s} for s in (10, 9, 10, 2)]) == [2, 9, 10]
    assert sorted(["s10", "s9", "a"], key=natural) == ["a", "s9", "s10"]


def test_facts_are_counted_from_the_rows() -> None:
    full = sample.data()
    said = dict(facts(full, order(full)))
    assert said["test examples"] == "10,000"
    assert said["seeds"] == "5"
    assert said["dense accuracy"] == "94.1%"


def test_cost_in_words() -> None:
    cost = {"trainings": 1450, "seconds": 61.0, "gpu_hours": 0.5, "where": "here"}
    assert cost_items(cost) == [("trainings", "1,450"), ("time", "1 min 1 s"), ("gpu hours", "0.5"), ("where", "here")]
