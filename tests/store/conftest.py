"""Stores for tests, in memory where the machine has a disk there: the loops fsync thousands of times."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from prunecheck.store import Store

MEMORY = Path("/dev/shm")


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder."""
    folder = Path(tempfile.mkdtemp(prefix="prunecheck-", dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(place: Path) -> Store:
    return Store.open(place / "store")


def open_handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def no_handle_leaks() -> Iterator[None]:
    """No test of the store may leave a file open."""
    before = open_handles()
    yield
    assert open_handles() == before
