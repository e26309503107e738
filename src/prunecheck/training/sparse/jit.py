"""Compilation of the loops of this package. The only file that imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

FREEDOM = {"contract", "reassoc", "nsz"}
"""The floating-point rules that the compiler may relax: fused multiply-adds and the order of sums. It must not assume
that NaN and infinity do not occur."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* as machine code, made at the first call and kept on disk for later processes where that is possible.

    Single-threaded; bits depend on the processor and on numba's version, never on timing.
    """
    try:
        made: Callable[..., Any] = numba.njit(fastmath=FREEDOM, cache=True)(function)
    except RuntimeError:  # no folder for the machine code: every process compiles again
        made = numba.njit(fastmath=FREEDOM)(function)
    return made


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled loops, always inlined into them.

    A call would find the part compiled alone in the process that compiles, but the copy compiled with the loop in
    processes that read the loop from disk; the two add in different orders.
    """
    made: Callable[..., Any] = numba.njit(fastmath=FREEDOM, forceinline=True)(function)
    return made
