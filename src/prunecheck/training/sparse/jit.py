"""Compiling the loops of this room. The only file that imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

FREEDOM = {"contract", "reassoc", "nsz"}
"""What the compiler may change about floating-point arithmetic: fused multiply-adds and the order of sums, but nothing
that would let it assume away NaN or infinity."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* as machine code, made at the first call and kept on disk for later processes where that is possible.

    Single-threaded; bits depend on the processor and on numba's version, never on timing.
    """
    try:
        made: Callable[..., Any] = numba.njit(fastmath=FREEDOM, cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in: every process compiles for itself
        made = numba.njit(fastmath=FREEDOM)(function)
    return made
