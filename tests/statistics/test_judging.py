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


def test_what_the_study_says_about_itself() -> None:
    verdict = judge(full(), study="mine", settings=Settings(chance=0.1))
    assert (verdict.study, verdict.alpha, verdict.looks, verdict.n_test) == ("mine", 0.05, (3, 5, 7, 10), 10_000)
    assert verdict.margin == pytest.approx(0.84)
    assert verdict.dense_accuracy == pytest.approx(0.94)
    assert verdict.margin_rule == (
        "The margin of 0.84 points is 1% of what the dense network (94.00%) knows above chance (10.00%). "
        "Only 1 dense run: the margin itself is uncertain."
    )
    assert verdict.notes == (
        "If the true drop were exactly the margin, at most 5% of such verdicts would be wrong in either direction.",
        "Looked at 3/5/7/10 seeds; error rates hold per method.",
    )
    json.dumps(verdict.to_dict(), allow_nan=False)
    assert judge(full(), settings=Settings(margin=1.0)).dense_accuracy == pytest.approx(0.94)
    assert judge(full()[1:], settings=Settings(margin=1.0)).dense_accuracy is None
    settled = Settings(margin=0.84, margin_rule="The margin was settled last week.")
    assert judge(full(), settings=settled).margin_rule == "The margin was settled last week."


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


def test_what_is_open_and_when_it_closes() -> None:
    for seeds in (1, 2):
        verdict = judged(full(seeds=seeds))
        assert len(open_checks(verdict)) == 7
        assert {one.verdict for one in verdict.checks} == {"INCONCLUSIVE"}
        assert exit_code(verdict) == 4
        cell = check(verdict, "snip", "random_labels").cells[0]
        assert cell.notes == ("needs at least 3 seeds",)
        assert cell.n == seeds
        assert (cell.low, cell.high, cell.p_depends, cell.p_not) == (-math.inf, math.inf, 1.0, 1.0)
        assert cell.seeds_needed is None
    noisy = study({"snip": {"random_labels": 0.5}}, seeds=9)
    verdict = judged(noisy)
    assert check(verdict, "snip", "random_labels").verdict == "INCONCLUSIVE"
    assert open_checks(verdict) == {("snip", "random_labels")}
    assert open_checks(judged(noisy, fixed_n=True)) == frozenset()
    assert open_checks(judged(noisy, max_seeds=7)) == frozenset()
    assert open_checks(judged(noisy, looks=(5,))) == frozenset()
    assert open_checks(judged(noisy, looks=(10,))) == {("snip", "random_labels")}
    assert open_checks(judged(study({"snip": {"random_labels": 0.5}}))) == frozenset()


def test_seeds_between_looks_wait() -> None:
    rows = study({"snip": {"random_labels": 0.0}}, seeds=4)
    four, three = (check(judged(r), "snip", "random_labels").cells[0] for r in (rows, [r for r in rows if r.seed < 3]))
    assert four.notes[-1] == "1 seed waiting for the look at 5"
    assert (four.n, four.mean_drop, four.low) == (three.n, three.mean_drop, three.low)
    assert set(four.differences) == {"0", "1", "2"}
    many = study({"snip": {"random_labels": 0.0}}, seeds=10)
    cell = check(judged(many, max_seeds=8, looks=(3, 8), spend=(1, 9)), "snip", "random_labels").cells[0]
    assert cell.notes[-1] == "2 seeds beyond the last look at 8 left out"
    assert cell.n == 8


def test_a_fixed_number_of_seeds_spends_all_alpha_at_once() -> None:
    rows = study({"snip": {"random_labels": 0.0}}, seeds=4)
    fixed, planned = (check(judged(rows, **c), "snip", "random_labels") for c in ({"fixed_n": True}, {"looks": (4,)}))
    assert fixed == planned
    assert fixed.cells[0].n == 4
    assert fixed.cells[0].notes == ("(unguarded)",)
    assert judged(rows, fixed_n=True).looks == (4,)


def test_a_fixed_study_may_have_more_seeds_of_one_method_than_of_another() -> None:
    rows = study({"snip": {"a": 0.0}}, seeds=8) + clean("grasp", seeds=5) + hurt("grasp", "a", 0.0, seeds=5)
    verdict = judged(rows, fixed_n=True)
    assert {one.method: one.cells[0].n for one in verdict.checks} == {"grasp": 5, "snip": 8}
    assert {one.verdict for one in verdict.checks} == {"DOES NOT DEPEND"}


def test_what_collapse_is_depends_on_the_dense_network() -> None:
    rows = arm("snip", "clean", 0.9, [11.5] * 5) + arm("snip", "a", 0.9, [11.4, 11.5, 11.6, 11.5, 11.5])
    assert judged(rows).checks[0].verdict == "INCONCLUSIVE"
    assert judged([*dense(94.0), *rows]).checks[0].verdict == "UNINFORMATIVE"


def test_a_method_that_depends_where_one_can_tell_is_not_settled_by_where_one_cannot() -> None:
    drops = {"snip": {"a": 3.0, "b": 0.0}, "lr_rewinding": {"a": 3.0, "b": 0.0}}
    assert answers(judged(study(drops))) == dict.fromkeys(drops, "UNINFORMATIVE")


def test_only_paired_seeds_count() -> None:
    rows = dense() + clean("snip", seeds=5) + hurt("snip", "random_labels", 0.0, seeds=8)[2:]
    cell = check(judged(rows, fixed_n=True), "snip", "random_labels").cells[0]
    assert cell.n == 3
    assert set(cell.differences) == {"2", "3", "4"}
    assert cell.notes[-1] == "5 seeds without a partner in the other arm left out"
    lost = dense() + clean("snip", seeds=2) + hurt("snip", "random_labels", 0.0, seeds=8)[2:]
    cell = check(judged(lost), "snip", "random_labels").cells[0]
    assert (cell.n, cell.verdict) == (0, "INCONCLUSIVE")
    assert math.isnan(cell.mean_drop)
    assert math.isnan(cell.win_share)
    assert cell.sentence.startswith("90%: no pair of runs yet, INCONCLUSIVE, 8 seeds without a partner")
    assert judged(lost, fixed_n=True).checks[0].verdict == "INCONCLUSIVE"
    json.dumps(judged(lost).to_dict(), allow_nan=False)


def test_a_seed_lost_by_one_check_does_not_move_the_looks_of_another() -> None:
    drops = {"snip": {"random_labels": 0.0, "random_pixels": 0.0}}
    whole = judged(study(drops))
    holed = judged([r for r in study(drops) if not (r.check == "random_pixels" and r.seed == 1)])
    assert check(holed, "snip", "random_labels").cells[0].n == 10
    assert check(holed, "snip", "random_pixels").cells[0].n == 9
    assert check(holed, "snip", "random_labels").verdict == check(whole, "snip", "random_labels").verdict
    assert not open_checks(holed)


def test_an_effect_at_one_sparsity_counts() -> None:
    rows = study({"snip": {"random_labels": 0.0}}, (0.8, 0.9))
    rows += clean("snip", 0.98) + hurt("snip", "random_labels", 3.0, 0.98)
    verdict = judged(rows)
    one = check(verdict, "snip", "random_labels")
    assert one.verdict == "DEPENDS"
    assert [cell.verdict for cell in one.cells] == ["DOES NOT DEPEND", "DOES NOT DEPEND", "DEPENDS"]
    assert one.sentence.endswith("(at 98%).")
    assert one.pooled is not None
    assert one.pooled.mean_drop == pytest.approx(1.0, abs=0.1)
    assert math.isnan(one.pooled.sparsity)
    assert not one.everywhere


def test_a_hint_at_one_sparsity_keeps_the_mean_from_settling_it() -> None:
    """The mean is far below the margin, but one sparsity is noisy and once looked as if it were hurt."""
    rows = study({"snip": {"c": 0.0}}, (0.8, 0.9))
    calm = hurt("snip", "c", 0.3, 0.98)
    wild = arm("snip", "c", 0.98, [89.0, 89.3, 88.9, 91.0, 90.9, 91.0, 90.5, 90.6, 89.9, 90.4])
    without = judged(rows + clean("snip", 0.98) + calm)
    assert check(without, "snip", "c").verdict == "DOES NOT DEPEND"
    verdict = judged(rows + clean("snip", 0.98) + wild)
    one = check(verdict, "snip", "c")
    assert one.pooled is not None
    assert one.pooled.p_not < 0.05
    assert one.verdict == "INCONCLUSIVE"
    assert answers(verdict) == {"snip": "INCONCLUSIVE"}


def test_method_verdicts_need_every_check() -> None:
    drops = {"snip": {"a": 3.0, "b": 3.0}, "half": {"a": 3.0, "b": 0.5}, "bad": {"a": 3.0, "b": 0.0}}
    verdict = judged(study(drops))
    assert answers(verdict) == {"snip": "PASSES", "half": "INCONCLUSIVE", "bad": "FAILS"}
    assert method(verdict, "bad").failed_checks == ("b",)
    assert method(verdict, "snip").sentence == "snip: PASSES. It depends on what a and b destroy."
    assert method(verdict, "half").sentence == "half: INCONCLUSIVE. 1 of 2 checks depend; not settled: b."
    assert method(verdict, "bad").sentence == "bad: FAILS. It does not depend on what b destroys."
    assert exit_code(verdict) == 1
    only_a = judged(study(drops), required_checks=("a",))
    assert set(answers(only_a).values()) == {"PASSES"}
    assert exit_code(only_a) == 0
    lacking = judged(study(drops), required_checks=("a", "c"))
    assert answers(lacking) == dict.fromkeys(drops, "INCONCLUSIVE")
    assert method(lacking, "snip").notes == ("not run: c",)
    assert method(lacking, "snip").sentence == "snip: INCONCLUSIVE. 1 of 2 checks depend; not settled: c."
    assert exit_code(lacking) == 4


def test_holm_over_the_methods_of_a_study() -> None:
    drops = {name: {"a": 0.0} for name in ("m1", "m2", "m3")}
    assert "error rates hold per study" in judged(study(drops), family="study").notes[1]
    assert answers(judged(study(drops), family="study")) == dict.fromkeys(drops, "FAILS")


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
        "reference: a random ticket is what the others are compared with, not a method on trial",
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


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["clean", "a", "b"]), st.integers(0, 5), st.floats(0, 1)), max_size=25))
def test_no_result_whatever_is_too_odd_to_judge(odd: list[tuple[str, int, float]]) -> None:
    rows = {(check, seed): Row("m", check, 0.9, seed, accuracy, 100) for check, seed, accuracy in odd}
    rows["a", 9] = Row("m", "a", 0.9, 9, 0.5, 100)
    for fixed in (True, False):
        json.dumps(judged(list(rows.values()), fixed_n=fixed).to_dict(), allow_nan=False)
