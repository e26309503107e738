from __future__ import annotations

import numpy as np
import pytest
from benchmarks.aa_language import p_values

from prunecheck.statistics.crossed import documents_by_draws


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(1))


def test_p_values_of_drawn_studies_are_those_of_documents_by_draws() -> None:
    found = np.random.default_rng(0).normal(scale=0.01, size=(6, 40))
    got = p_values(found, 5, 0.002, 4, generator())
    rng = generator()
    chosen = [rng.choice(40, 5, replace=False) for _ in range(4)]
    signs = rng.choice([-1.0, 1.0], (4, 5))
    expected = [
        documents_by_draws(found[:, one] * sign, 0.002).p_above for one, sign in zip(chosen, signs, strict=True)
    ]
    assert got == pytest.approx(expected)


def test_equal_arms_are_judged_different_at_most_as_often_as_the_level_says() -> None:
    found = np.random.default_rng(2).normal(size=(6, 100)) + np.random.default_rng(3).normal(size=100)
    for draws in (3, 5):
        assert (p_values(found, draws, 0.0, 4000, generator()) <= 0.05).mean() < 0.065
