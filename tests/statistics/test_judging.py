"""Whole studies through the front door."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunecheck.errors import StudyError
from prunecheck.statistics import (
    CheckVerdict,
    MethodVerdict,
    Row,
    Settings,
    StudyVerdict,
    exit_code,
    judge,
    open_checks,
)
from prunecheck.statistics import verdict as front_door
from tests.statistics.makers import THREE, clean, dense, full, hurt, study

HALF = {"margin": 0.5, "chance": 0.1}


def judged(rows: list[Row], **changes: Any) -> StudyVerdict:
    return judge(rows, settings=Settings(**{**HALF, **changes}))


def check(verdict: StudyVerdict, method: str, name: str) -> CheckVerdict:
    return next(one for one in verdict.checks if (one.method, one.check) == (method, name))


def method(verdict: StudyVerdict, name: str) -> MethodVerdict:
    return next(one for one in verdict.methods if one.method == name)


def answers(verdict: StudyVerdict) -> dict[str, str]:
    return {one.method: one.verdict for one in verdict.methods}


def test_a_ticket_that_needs_nothing_fails_and_one_that_needs_all_passes() -> None:
    verdict = judged(full())
    assert answers(verdict) == {"lr_rewinding": "PASSES", "random_ticket": "UNINFORMATIVE", "snip": "FAILS"}
    assert method(verdict, "snip").failed_checks == THREE
    assert {one.verdict for one in verdict.checks if one.method == "snip"} == {"DOES NOT DEPEND"}
    assert {one.verdict for one in verdict.checks if one.method == "lr_rewinding"} == {"DEPENDS"}
    assert all(one.everywhere == (one.verdict == "DOES NOT DEPEND") for one in verdict.checks)
    assert verdict.banner is None
    assert open_checks(verdict) == frozenset()
    assert exit_code(verdict) == 1


def test_the_front_door(tmp_path: Path) -> None:
    rows = [one.__dict__ for one in full()]
    assert front_door(rows) == judge(full())
    assert front_door(full(), margin=0.5).margin == 0.5
    path = tmp_path / "trial.csv"
    columns = ["method", "check", "sparsity", "seed", "accuracy", "n_test"]
    lines = [",".join("" if row[c] is None else str(row[c]) for c in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]))
    assert front_door(path).to_dict() == {**judge(full()).to_dict(), "study": "trial"}
    assert front_door(str(path)).study == "trial"
    with pytest.raises(StudyError, match="no margin"):
        front_door([row for row in rows if row["method"] != "dense"])


def test_a_fixed_study_may_have_more_seeds_of_one_method_than_of_another() -> None:
    rows = study({"snip": {"a": 0.0}}, seeds=8) + clean("grasp", seeds=5) + hurt("grasp", "a", 0.0, seeds=5)
    verdict = judged(rows)
    assert {one.method: one.cells[0].n for one in verdict.checks} == {"grasp": 5, "snip": 8}
    assert {one.verdict for one in verdict.checks} == {"DOES NOT DEPEND"}


def test_a_method_that_depends_where_one_can_tell_is_not_settled_by_where_one_cannot() -> None:
    drops = {"snip": {"a": 3.0, "b": 0.0}, "lr_rewinding": {"a": 3.0, "b": 0.0}}
    assert answers(judged(study(drops))) == dict.fromkeys(drops, "UNINFORMATIVE")


def test_only_paired_seeds_count() -> None:
    rows = dense() + clean("snip", seeds=5) + hurt("snip", "random_labels", 0.0, seeds=8)[2:]
    cell = check(judged(rows), "snip", "random_labels").cells[0]
    assert cell.n == 3
    assert set(cell.differences) == {"2", "3", "4"}
    assert cell.notes[-1] == "5 seeds without a partner in the other arm left out"
    lost = dense() + clean("snip", seeds=2) + hurt("snip", "random_labels", 0.0, seeds=8)[2:]
    cell = check(judged(lost), "snip", "random_labels").cells[0]
    assert (cell.n, cell.verdict) == (0, "INCONCLUSIVE")
    assert math.isnan(cell.mean_drop)
    assert math.isnan(cell.win_share)
    assert cell.sentence.startswith("90%: no pair of runs yet, INCONCLUSIVE, 8 seeds without a partner")
    assert judged(lost).checks[0].verdict == "INCONCLUSIVE"
    json.dumps(judged(lost).to_dict(), allow_nan=False)


def test_a_seed_lost_by_one_check_does_not_move_the_looks_of_another() -> None:
    drops = {"snip": {"random_labels": 0.0, "random_pixels": 0.0}}
    whole = judged(study(drops))
    holed = judged([r for r in study(drops) if not (r.check == "random_pixels" and r.seed == 1)])
    assert check(holed, "snip", "random_labels").cells[0].n == 10
    assert check(holed, "snip", "random_pixels").cells[0].n == 9
    assert check(holed, "snip", "random_labels").verdict == check(whole, "snip", "random_labels").verdict
    assert not open_checks(holed)


def test_method_verdicts_need_every_check() -> None:
    drops = {"snip": {"a": 3.0, "b": 3.0}, "half": {"a": 3.0, "b": 0.5}, "bad": {"a": 3.0, "b": 0.0}}
    verdict = judged(study(drops))
    assert answers(verdict) == {"snip": "PASSES", "half": "INCONCLUSIVE", "bad": "FAILS"}
    assert method(verdict, "bad").failed_checks == ("b",)
    assert method(verdict, "snip").sentence == "snip: PASSES. It depends on what a and b destroy."
    assert method(verdict, "half").sentence == "half: INCONCLUSIVE. 1 of 2 checks depend; not decided: b."
    assert method(verdict, "bad").sentence == "bad: FAILS. It does not depend on what b destroys."
    assert exit_code(verdict) == 1
    only_a = judged(study(drops), required_checks=("a",))
    assert set(answers(only_a).values()) == {"PASSES"}
    assert exit_code(only_a) == 0
    lacking = judged(study(drops), required_checks=("a", "c"))
    assert answers(lacking) == dict.fromkeys(drops, "INCONCLUSIVE")
    assert method(lacking, "snip").notes == ("not run: c",)
    assert method(lacking, "snip").sentence == "snip: INCONCLUSIVE. 1 of 2 checks depend; not decided: c."
    assert exit_code(lacking) == 4


def test_exit_codes_of_references_and_controls() -> None:
    good = study({"snip": {"a": 3.0}, "random_ticket": {"a": 0.0}, "lr_rewinding": {"a": 3.0}})
    verdict = judged(good)
    assert answers(verdict)["random_ticket"] == "FAILS"
    assert {one.method: one.role for one in verdict.methods} == {
        "lr_rewinding": "positive",
        "random_ticket": "reference",
        "snip": None,
    }
    assert exit_code(verdict) == 0
    assert exit_code(judged(study({"random_ticket": {"a": 0.0}}))) == 1
    assert method(verdict, "random_ticket").notes == (
        "reference: the other methods are compared with it; it is not under test itself",
    )
    assert method(verdict, "lr_rewinding").notes == (
        "positive control: known to depend, it shows what this study can find",
    )


def test_contradictions_are_refused() -> None:
    rows = study({"snip": {"a": 0.0}}, seeds=3)
    with pytest.raises(StudyError, match=r"the test set changed size between rows \(\[999, 10000\]\)"):
        judged([*rows, Row("snip", "a", 0.9, 7, 0.9, 999)])
    with pytest.raises(StudyError, match="Which one is it"):
        judged([*rows, Row("snip", "a", 0.9, 2, 0.1, 10_000)])
    with pytest.raises(StudyError, match="snip x a, seed 2 has no sparsity"):
        judged([Row("snip", "a", None, 2, 0.1, 10_000)])
    with pytest.raises(StudyError, match="nothing to judge: no row with a check other than 'clean'"):
        judged(clean("snip"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_order_of_rows_and_duplicates_change_nothing(data: st.DataObject) -> None:
    rows = full(snip=0.3, seeds=5, sparsities=(0.9, 0.98))
    shuffled = data.draw(st.permutations(rows))
    again = data.draw(st.lists(st.sampled_from(rows), max_size=10))
    assert judged([*shuffled, *again]).to_dict() == judged(rows).to_dict()
