"""Whole studies, judged by the public functions."""

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
from prunecheck.statistics import verdict as judge_table
from tests.statistics.makers import THREE, arm, clean, dense, full, hurt, study

HALF = {"margin": 0.5, "chance": 0.1}


def judged(rows: list[Row], **changes: Any) -> StudyVerdict:
    return judge(rows, settings=Settings(**{**HALF, **changes}))


def check(verdict: StudyVerdict, method: str, name: str) -> CheckVerdict:
    return next(one for one in verdict.checks if (one.method, one.check) == (method, name))


def method(verdict: StudyVerdict, name: str) -> MethodVerdict:
    return next(one for one in verdict.methods if one.method == name)


def answers(verdict: StudyVerdict) -> dict[str, str]:
    return {one.method: one.verdict for one in verdict.methods}


def test_a_method_without_drops_fails_and_one_with_drops_passes() -> None:
    verdict = judged(full())
    assert answers(verdict) == {"lr_rewinding": "PASSES", "random_ticket": "UNINFORMATIVE", "snip": "FAILS"}
    assert method(verdict, "snip").failed_checks == THREE
    assert {one.verdict for one in verdict.checks if one.method == "snip"} == {"DOES NOT DEPEND"}
    assert {one.verdict for one in verdict.checks if one.method == "lr_rewinding"} == {"DEPENDS"}
    assert all(one.everywhere == (one.verdict == "DOES NOT DEPEND") for one in verdict.checks)
    assert verdict.banner is None
    assert open_checks(verdict) == frozenset()
    assert exit_code(verdict) == 1


def test_verdict_takes_rows_dicts_and_paths(tmp_path: Path) -> None:
    rows = [one.__dict__ for one in full()]
    assert judge_table(rows) == judge(full())
    assert judge_table(full(), margin=0.5).margin == 0.5
    path = tmp_path / "trial.csv"
    columns = ["method", "check", "sparsity", "seed", "accuracy", "n_test"]
    lines = [",".join("" if row[c] is None else str(row[c]) for c in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]))
    assert judge_table(path).to_dict() == {**judge(full()).to_dict(), "study": "trial"}
    assert judge_table(str(path)).study == "trial"
    with pytest.raises(StudyError, match="no margin"):
        judge_table([row for row in rows if row["method"] != "dense"])


def test_a_fixed_study_may_have_more_seeds_of_one_method_than_of_another() -> None:
    rows = study({"snip": {"a": 0.0}}, seeds=8) + clean("grasp", seeds=5) + hurt("grasp", "a", 0.0, seeds=5)
    verdict = judged(rows)
    assert {one.method: one.cells[0].n for one in verdict.checks} == {"grasp": 5, "snip": 8}
    assert {one.verdict for one in verdict.checks} == {"DOES NOT DEPEND"}


def test_a_method_with_one_dependence_and_one_uninformative_check_is_uninformative() -> None:
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


def test_a_seed_lost_by_one_check_does_not_move_the_analyses_of_another() -> None:
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


def test_an_undecided_control_stays_open_while_a_method_needs_it() -> None:
    noise = (0.9, -0.8, 0.4, 0.0, -0.5)
    control = clean("lr_rewinding", seeds=5) + arm("lr_rewinding", "a", 0.9, [90 - 0.7 - x for x in noise])
    needy = judged([*study({"snip": {"a": 0.1}}, seeds=5), *control], design="sequential")
    served = judged([*study({"snip": {"a": 5.0}}, seeds=5), *control], design="sequential")
    assert check(needy, "lr_rewinding", "a").open
    assert check(needy, "snip", "a").verdict == "INCONCLUSIVE"
    assert check(served, "snip", "a").verdict == "DEPENDS"
    assert not check(served, "snip", "a").open


def test_what_is_open_and_when_it_closes() -> None:
    drops = (0.9, -0.5, 0.6, -0.2, 0.1, 0.8, -0.4)
    rows = dense() + clean("snip", seeds=7) + arm("snip", "a", 0.9, [90 - drop for drop in drops])
    assert open_checks(judged(rows, design="sequential")) == {("snip", "a")}
    assert open_checks(judged(rows)) == frozenset()
    assert open_checks(judged(rows, design="sequential", max_seeds=7)) == frozenset()
    assert open_checks(judged(rows, design="sequential", looks=(10,))) == {("snip", "a")}


def test_a_check_exactly_at_the_margin_is_stopped_as_unlikely_to_be_decided() -> None:
    assert open_checks(judged(study({"snip": {"a": 0.5}}, seeds=9), design="sequential")) == frozenset()


def test_the_error_rate_may_be_kept_over_all_methods_of_a_study() -> None:
    noise = [0.3, -0.3, 0.1, -0.1, 0.0]
    rows = dense()
    for number, name in enumerate(("m1", "m2", "m3")):
        rows += arm(name, "clean", 0.9, [90 + x for x in noise])
        turned = noise[number:] + noise[:number]
        rows += arm(name, "a", 0.9, [90 + x - 1.4 * y for x, y in zip(noise, turned, strict=True)])
    high = max(one.cells[0].high for one in judged(rows).checks)
    assert set(answers(judged(rows, margin=1.02 * high)).values()) == {"FAILS"}
    assert set(answers(judged(rows, margin=1.02 * high, family="study")).values()) == {"INCONCLUSIVE"}
    assert set(answers(judged(rows, margin=3 * high, family="study")).values()) == {"FAILS"}


def test_a_planted_drop_that_is_not_found_is_a_weak_control() -> None:
    found = judged(study({"lr_rewinding": {"planted_0.1": 0.1, "planted_1": 0.5}}, seeds=5))
    [missed] = [one for one in found.controls if one.role == "planted"]
    assert (missed.status, missed.check) == ("weak", "planted_1")
    assert "not even 100% of the mask re-drawn was found" in missed.sentence
