"""What a study compares: the metric it names, the methods it names, and its own table judged again."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import stdev

import pytest

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.study import make_plan
from tests.runner import tiny

TWO = {"methods": ["snip", "magnitude_init"], "seeds": 3}


def test_a_study_is_judged_by_the_metric_it_names(tmp_path: Path) -> None:
    results = tiny.run(tmp_path, metric="p_correct", seeds=3)
    assert results.verdict.metric == "p_correct"
    by_arm = {(row["method"], row["check"], row["sparsity"], row["seed"]): row for row in results.rows}
    check = next(check for check in results.verdict.checks if check.control is None)
    for seed, drop in check.cells[0].differences.items():
        arms = [by_arm[check.method, name, check.cells[0].sparsity, int(seed)] for name in ("clean", check.check)]
        assert drop == pytest.approx(100 * (arms[0]["p_correct"] - arms[1]["p_correct"]))
    margin = json.loads((tmp_path / "out" / "margin.json").read_text())
    assert margin["metric"] == "p_correct"
    dense = [row["p_correct"] for row in results.rows if row["method"] == "dense"]
    assert list(margin["dense_runs"].values()) == dense


def test_a_metric_is_chosen_once_for_a_results_folder(tmp_path: Path) -> None:
    trained = tiny.run(tmp_path, seeds=3).trained
    assert trained
    with pytest.raises(StudyError, match=r"margin.json fixed the margin for the metric 'accuracy' before results"):
        tiny.run(tmp_path, seeds=3, metric="brier")
    (tmp_path / "out" / "margin.json").unlink()  # as in another folder
    assert tiny.run(tmp_path, seeds=3, metric="brier").trained == 0


def test_methods_are_compared_by_default_and_as_the_study_says(tmp_path: Path) -> None:
    results = tiny.run(tmp_path, controls=["aa"], **TWO)
    found = [(one.first, one.second) for one in results.verdict.comparisons]
    assert found == [("magnitude_init", "random_ticket"), ("snip", "random_ticket")]
    results = tiny.run(tmp_path, controls=["aa"], compare=[["snip", "magnitude_init"]], **TWO)
    (one,) = results.verdict.comparisons
    assert (one.first, one.second) == ("snip", "magnitude_init")
    accuracies = {(row["method"], row["seed"]): row["accuracy"] for row in results.rows if row["check"] == "clean"}
    for seed, lead in one.cells[0].differences.items():
        assert lead == pytest.approx(100 * (accuracies["snip", int(seed)] - accuracies["magnitude_init", int(seed)]))
    for file in ("index.html", "report.md", "verdicts.json"):
        assert "snip" in (tmp_path / "out" / file).read_text()
    assert "snip against magnitude_init" in (tmp_path / "out" / "report.md").read_text()
    assert "against" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (["snip", "magnitude_in"], r"= .magnitude_in. is not a method of this study. Did you mean .magnitude_init."),
        (["snip", "dense"], r"compare\[0\] = 'dense' is not a method of this study"),
        (["snip", "snip"], "compare holds pairs of two different methods"),
        (["snip"], "compare holds pairs of two different methods"),
    ],
)
def test_comparisons_that_cannot_be_made_are_refused_before_anything_is_trained(pair: list[str], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        tiny.study(compare=[pair], **TWO)


def test_more_seeds_of_a_clean_arm_add_nothing_else() -> None:
    study = tiny.study(controls=[], **TWO)
    more = make_plan(study, {("snip", "clean"): range(5)})
    before = {(arm.method, arm.check, arm.seed) for arm in make_plan(study).arms}
    after = {(arm.method, arm.check, arm.seed) for arm in more.arms}
    assert {one for one in after - before if one[0] != "dense"} == {("snip", "clean", 3), ("snip", "clean", 4)}


@pytest.mark.parametrize("metric", ["accuracy", "p_correct"])
@pytest.mark.parametrize("seeds", [3, "auto"])
def test_the_table_of_a_study_judged_again_gives_its_own_verdict(tmp_path: Path, metric: str, seeds: object) -> None:
    results = tiny.run(tmp_path, seeds=seeds, metric=metric, max_seeds=4)
    own = json.loads((tmp_path / "out" / "verdicts.json").read_text())
    assert own.pop("report"), "what a table alone does not know: layers, masks, cost"
    assert prunecheck.verdict(tmp_path / "out" / "results.csv").to_dict() == own == results.verdict.to_dict()


def test_a_study_with_a_margin_in_standard_deviations_takes_those_of_its_dense_runs(tmp_path: Path) -> None:
    results = tiny.run(tmp_path, seeds=3, margin="2 sd")
    dense = [row["accuracy"] for row in results.rows if row["method"] == "dense"]
    floor = 500 / results.rows[0]["n_test"]
    assert results.verdict.margin == pytest.approx(max(200 * stdev(dense), floor))
    assert "2 standard deviations between seeds" in results.verdict.margin_rule
    assert json.loads((tmp_path / "out" / "margin.json").read_text())["in_terms"] == "2 sd"
    again = prunecheck.verdict(tmp_path / "out" / "results.csv")
    assert again.to_dict() == results.verdict.to_dict()
