"""POSIX file locks, which the kernel frees when their holder dies; not available on every system."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from prunecheck.errors import StoreError

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None
"""the module, or None (Windows)"""


def insist() -> None:
    """Raises StoreError on a system without such locks."""
    if fcntl is None:
        raise StoreError("this system has no POSIX file locks (fcntl), which a store needs. Use Linux, macOS or WSL.")
