"""Compiled loops where nothing can be written."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

from prunecheck.training.sparse.jit import compiled


def test_compilation_without_a_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = numba.njit

    def refusing(*functions: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return usual(*functions, **options)

    monkeypatch.setattr(numba, "njit", refusing)

    @compiled
    def double(a: np.ndarray) -> None:
        for j in range(a.size):
            a[j] *= 2

    numbers = np.array([1, np.nan, np.inf], np.float32)
    double(numbers)
    np.testing.assert_array_equal(numbers, np.array([2, np.nan, np.inf], np.float32))
