"""Compiled loops: where nothing can be written, and equal bits in the process that compiles and in later ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

from prunecheck.training.sparse import fold, kernels, norm, pool
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


def test_compiled_loops_call_inlined_functions_only() -> None:
    dispatchers = [f for module in (fold, kernels, norm, pool) for f in vars(module).values() if hasattr(f, "py_func")]
    called = [
        (loop.__name__, name, loop.__globals__[name])
        for loop in (f.py_func for f in dispatchers)
        for name in loop.__code__.co_names
        if hasattr(loop.__globals__.get(name), "py_func")
    ]
    assert called
    assert [(loop, name) for loop, name, part in called if not part.targetoptions.get("forceinline")] == []


PROGRAM = """
import hashlib
import numpy as np
from prunecheck.training.sparse import norm
rng = np.random.default_rng(0)
g, z, y, d = rng.normal(size=(4, 4096)).astype(np.float32)
gain, offset, mean, inverse, slopes, bases = rng.random((6, 2))
norm.normalise_back(g, z, y, d, 0, 2048, 512, 4, 512, gain, offset, mean, inverse, slopes, bases, True, True)
print(hashlib.sha256(b"".join(a.tobytes() for a in (g, d, slopes, bases))).hexdigest())
print(*norm.normalise_back.stats.cache_hits.values())
"""


@pytest.mark.slow
def test_the_process_that_compiles_computes_the_same_bits_as_later_ones(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    )
    assert (first[1:], second[1:]) == ([""], ["1"])  # compiled, then read from disk
    assert first[0] == second[0]
