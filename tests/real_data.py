"""Where real data lies, for the tests that use it and skip where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("PRUNECHECK_TEST_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")
"""Holds ``cifar10/*.parquet`` and a zip of Tiny-ImageNet."""


def needs_real_data(inside: str) -> pytest.MarkDecorator:
    """Skip where nothing below ``REAL_DATA`` matches the pattern *inside*."""
    found = REAL_DATA.is_dir() and any(REAL_DATA.glob(inside))
    return pytest.mark.skipif(not found, reason=f"no {inside} in PRUNECHECK_TEST_DATA")
