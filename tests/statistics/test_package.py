"""Importing the package is cheap: numpy and scipy are loaded when something is judged."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

package = import_module("prunecheck.statistics")


def test_every_public_name_is_there() -> None:
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith("prunecheck.statistics.")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'prunecheck.statistics' has no attribute 'juge'$"):
        _ = package.juge


def loaded(name: str) -> set[str]:
    """The heavy modules that importing *name* from the package loads, in a fresh interpreter."""
    code = f"import sys; from prunecheck.statistics import {name}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {"numpy", "scipy", "scipy.stats", "torch"} & set(modules)


def test_rows_and_settings_need_neither_numpy_nor_scipy() -> None:
    assert loaded("Row, Settings, read_rows") == set()


def test_judging_needs_no_torch_and_no_scipy_stats() -> None:
    assert loaded("judge") == {"numpy", "scipy"}
