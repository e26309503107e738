"""From cells to checks to methods, on p values written by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.statistics.procedure import (
    checks_failed,
    decided,
    holm,
    members,
    methods_pass,
    p_check_depends,
    p_check_fails,
)

NAN = float("nan")


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])


def test_holm_ignores_what_is_not_there() -> None:
    adjusted = holm(np.array([[0.02, NAN, 0.04], [NAN, NAN, 0.04]]))
    assert adjusted[0, [0, 2]] == pytest.approx([0.04, 0.04])
    assert adjusted[1, 2] == pytest.approx(0.04)
    assert np.isnan(adjusted[[0, 1, 1], [1, 0, 1]]).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_holm_is_closed_testing_with_bonferroni(p: list[float]) -> None:
    expected = [
        max(
            min(1.0, len(subset) * min(p[i] for i in subset))
            for size in range(1, len(p) + 1)
            for subset in itertools.combinations(range(len(p)), size)
            if j in subset
        )
        for j in range(len(p))
    ]
    assert holm(np.array(p)) == pytest.approx(expected)


def test_a_check_depends_through_a_cell_or_the_mean() -> None:
    cells = np.array([[0.3, 0.3, 0.04, NAN, NAN], [0.004, 0.3, NAN, NAN, NAN]])
    mean = np.array([0.5, 0.01, 0.04, 1.0, NAN])
    assert members(cells).tolist() == [3, 3, 1, 1, 1]
    p = p_check_depends(cells, mean)
    assert p[:4] == pytest.approx([0.012, 0.03, 0.04, 1.0])
    assert p_check_depends(np.full((2, 1), 0.9), np.array([0.9])) == pytest.approx([1.0])


def test_a_check_fails_only_if_the_mean_and_every_sparsity_allow_it() -> None:
    mean = np.array([0.01, 0.01, 0.01, 0.4])
    cells = np.array([[0.009, 0.2, 0.03, NAN], [0.002, 0.009, NAN, NAN]])
    assert p_check_fails(mean, cells).tolist() == [0.01, 0.2, 0.03, 0.4]


ALL = np.ones((1, 3), dtype=bool)


def test_a_method_passes_if_every_check_does() -> None:
    depends = np.array([[[0.05, 0.01, 0.0]], [[0.05, 0.06, 0.0]], [[0.01, NAN, 0.01]]])
    assert methods_pass(depends, ALL, 0.05, "method").tolist() == [[True], [False], [False]]
    some = np.array([[True, False, True]])
    assert methods_pass(depends, some, 0.05, "method").tolist() == [[True], [True], [True]]
    none = np.zeros((1, 3), dtype=bool)
    assert methods_pass(depends, none, 0.05, "method").tolist() == [[False], [False], [False]]


def test_a_method_fails_by_holm_over_its_checks() -> None:
    fails = np.array([[0.01, 0.024, 0.9], [0.02, 0.02, 0.02], [0.017, NAN, 0.04]])
    required = np.array([[True] * 3, [True] * 3, [True, True, False]])
    found = checks_failed(fails, required, 0.05, "method")
    assert found.tolist() == [[True, True, False], [False, False, False], [True, False, False]]


def test_exactly_five_percent_is_enough() -> None:
    one = np.array([[0.05]])
    assert checks_failed(one, np.ones((1, 1), dtype=bool), 0.05, "method").all()
    assert checks_failed(one, np.ones((1, 1), dtype=bool), 0.05, "study").all()


def test_the_family_of_a_study_is_larger() -> None:
    fails = np.array([[0.01, 0.9], [0.02, 0.9]])
    both = np.ones((2, 2), dtype=bool)
    assert checks_failed(fails, both, 0.05, "method").tolist() == [[True, False], [True, False]]
    assert checks_failed(fails, both, 0.05, "study").tolist() == [[True, False], [False, False]]
    depends = np.array([[0.01, 0.03], [0.01, 0.02]])
    assert methods_pass(depends, both, 0.05, "method").tolist() == [True, True]
    assert methods_pass(depends, both, 0.05, "study").tolist() == [True, True]
    depends[0, 1] = 0.06
    depends[1, 1] = 0.03
    assert methods_pass(depends, both, 0.05, "method").tolist() == [False, True]
    assert methods_pass(depends, both, 0.05, "study").tolist() == [False, False]


NO = np.zeros((2, 3), dtype=bool)


def test_a_check_is_decided_when_the_first_step_of_holm_is_passed() -> None:
    depends = np.array([[0.05, 0.051, 0.3], [0.9, 0.9, 0.9]])
    fails = np.array([[1.0, 1.0, 0.025], [0.026, 0.05, NAN]])
    required = np.array([[True, True, False], [True, True, False]])
    expected = [[True, False, True], [False, False, False]]
    assert decided(depends, fails, NO, required, 0.05, "method").tolist() == expected
    depends = np.array([[0.025, 0.026, 0.3], [0.9, 0.9, 0.9]])
    fails = np.array([[1.0, 1.0, 0.0125], [0.0126, 0.05, NAN]])
    assert decided(depends, fails, NO, required, 0.05, "study").tolist() == expected
    none = np.zeros((2, 3), dtype=bool)
    assert decided(depends, np.full((2, 3), 0.05), NO, none, 0.05, "method").all()


def test_once_a_method_has_failed_its_other_checks_need_their_own_level_only() -> None:
    depends = np.array([[0.9, 0.9, 0.05], [0.9, 0.9, 0.9]])
    fails = np.array([[0.01, 0.05, 1.0], [0.05, 0.05, 1.0]])
    every = np.ones((2, 3), dtype=bool)
    failed = np.array([[True, False, False], [False, False, False]])
    assert decided(depends, fails, failed, every, 0.05, "method").tolist() == [[True] * 3, [False] * 3]
    assert decided(depends, fails, failed & ~every, every, 0.05, "method").tolist() == [
        [True, False, True],
        [False, False, False],
    ]
