"""Margin curves: at any margin the whole rule answers what the curve says, and answers change in one direction only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecheck.statistics import CheckVerdict, MarginCurve, Row, Settings, StudyVerdict, judge
from tests.statistics.makers import arm

MARGINS = tuple(np.geomspace(0.05, 12.0, 17))


def random_study(seed: int, checks: int, sparsities: int, seeds: int, *, control: bool) -> list[Row]:
    """One method (and the positive control) whose drops and noise are drawn at random, some of them twice as large at
    one sparsity."""
    rng = np.random.default_rng(seed)
    rows = []
    for method in ("snip", "lr_rewinding")[: 1 + control]:
        for sparsity in (0.8, 0.9, 0.95)[:sparsities]:
            base = 90 + 0.4 * rng.standard_normal(seeds)
            rows += arm(method, "clean", sparsity, list(base))
            for check in range(checks):
                drop = rng.choice([0.0, 0.5, 1.0, 3.0]) * rng.choice([1.0, 2.0])
                noise = rng.choice([0.2, 0.8]) * rng.standard_normal(seeds)
                rows += arm(method, f"check{check}", sparsity, list(base - drop + noise))
    return rows


def judged(rows: Iterable[Row], margin: float, design: str) -> StudyVerdict:
    return judge(rows, settings=Settings(margin=margin, chance=0.1, design=design))  # type: ignore[arg-type]


def allowed(curve: MarginCurve, margin: float) -> set[str]:
    if margin < curve.depends_below:
        return {"DEPENDS", "PASSES"}
    if margin >= curve.guarded_below:
        return {"INCONCLUSIVE", "UNINFORMATIVE"}
    return {"INCONCLUSIVE"} if margin <= curve.not_above else {"DOES NOT DEPEND", "FAILS"}


STUDIES = st.tuples(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3), st.integers(3, 9))
DESIGNS = st.sampled_from(["fixed", "sequential"])


@settings(max_examples=40, deadline=None)
@given(STUDIES, st.booleans(), DESIGNS, st.floats(0.05, 8.0))
def test_the_whole_rule_answers_as_the_curve_says(
    study: tuple[int, int, int, int], control: bool, design: str, margin: float
) -> None:
    rows = random_study(*study, control=control)
    reference, found = judged(rows, 1.0, design), judged(rows, margin, design)
    for check, again in zip(reference.checks, found.checks, strict=True):
        assert check.curve is not None
        assert check.curve == again.curve
        assert again.verdict in allowed(check.curve, margin)


@settings(max_examples=40, deadline=None)
@given(STUDIES, DESIGNS, st.floats(0.05, 8.0))
def test_methods_answer_as_their_curves_say(study: tuple[int, int, int, int], design: str, margin: float) -> None:
    rows = random_study(*study, control=False)
    [method], [again] = judged(rows, 1.0, design).methods, judged(rows, margin, design).methods
    assert method.curve is not None
    assert again.curve == method.curve
    assert again.verdict in allowed(method.curve, margin)


@settings(max_examples=15, deadline=None)
@given(STUDIES, DESIGNS)
def test_answers_change_in_one_direction_as_the_margin_grows(study: tuple[int, int, int, int], design: str) -> None:
    rows = random_study(*study, control=False)
    order = ["DEPENDS", "INCONCLUSIVE", "DOES NOT DEPEND"]
    found = [[order.index(check.verdict) for check in judged(rows, m, design).checks] for m in MARGINS]
    assert (np.diff(found, axis=0) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(STUDIES, st.booleans(), DESIGNS, st.floats(0.05, 8.0))
def test_a_method_never_contradicts_its_checks(
    study: tuple[int, int, int, int], control: bool, design: str, margin: float
) -> None:
    found = judged(random_study(*study, control=control), margin, design)
    for method in found.methods:
        mine: dict[str, CheckVerdict] = {one.check: one for one in found.checks if one.method == method.method}
        assert all(mine[name].verdict == "DOES NOT DEPEND" for name in method.failed_checks)
        assert (method.verdict == "FAILS") == bool(method.failed_checks)
        if method.verdict == "PASSES":
            assert all(one.verdict == "DEPENDS" for one in mine.values())


@settings(max_examples=40, deadline=None)
@given(STUDIES, DESIGNS, st.floats(0.05, 8.0))
def test_the_interval_of_a_check_agrees_with_its_verdict(
    study: tuple[int, int, int, int], design: str, margin: float
) -> None:
    for check in judged(random_study(*study, control=False), margin, design).checks:
        assert check.pooled is not None
        low, high = check.pooled.low, check.pooled.high
        if check.verdict == "DOES NOT DEPEND":
            assert high < margin
        elif check.verdict == "DEPENDS":
            one = any(cell.low > margin for cell in check.cells)
            assert low > margin or one
        else:
            assert low <= margin


@pytest.mark.parametrize("design", ["fixed", "sequential"])
def test_a_verdict_turns_exactly_at_the_ends_of_its_curve(design: str) -> None:
    turns = 0
    for number in range(8):
        rows = random_study(number, 2, 3, 9, control=False)
        for j, check in enumerate(judged(rows, 1.0, design).checks):
            assert check.curve is not None
            for end, inside in ((check.curve.depends_below, -1), (check.curve.not_above, 1)):
                if 0.01 < end < 50:
                    turns += 1
                    answers = [judged(rows, end + side * 1e-4, design).checks[j].verdict for side in (-inside, inside)]
                    assert answers[0] != answers[1]
                    assert answers[1] == {-1: "DEPENDS", 1: "DOES NOT DEPEND"}[inside]
    assert turns > 8
