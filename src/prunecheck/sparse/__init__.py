"""Training with the surviving weights only, on a CPU. What needs neither torch nor numba is here, so that a plan can
speak of it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version as installed
from importlib.util import find_spec

BACKEND_VERSION = 1
"""raised when the bits it computes change"""


@cache
def unavailable() -> str | None:
    """Why there is no sparse backend here, in one sentence; None where there is one."""
    if find_spec("numba") is None:
        return "numba is not installed; pip install 'prunecheck[sparse]'."
    return None


@cache
def version() -> str:
    """What its bits depend on, as it goes into keys."""
    return f"{BACKEND_VERSION}/numba-{installed('numba')}"


__all__ = ["BACKEND_VERSION", "unavailable", "version"]
