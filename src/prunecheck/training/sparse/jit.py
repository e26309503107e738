"""Compilation of the loops of this package. The only file that imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

FREEDOM = {"contract", "reassoc", "nsz"}
"""The floating-point rules that the compiler may relax: fused multiply-adds and the order of sums. It must not assume
that NaN and infinity do not occur."""
_BITS = ir.IntType(32)


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


def by_storage(float32: Callable[..., Any], bfloat16: Callable[..., Any]) -> Callable[..., Any]:
    """An inlined part with a form for each kind of number that its first argument, an array, may hold."""

    def part(array: Any, *others: Any) -> Any:
        """Stands for both where compiled code calls it."""

    def chosen(array: Any, *others: Any) -> Callable[..., Any]:
        del others
        return float32 if array.dtype == types.float32 else bfloat16

    options: Any = {"fastmath": FREEDOM, "forceinline": True}
    overload(part, jit_options=options, strict=False)(chosen)
    return part


def _wide(context: Any, number: Any) -> Any:
    """A stored number as float32: itself, or bfloat16, whose 16 bits are held in a uint16."""
    del context

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if number == types.float32:
            return arguments[0]
        bits = builder.shl(builder.zext(arguments[0], _BITS), ir.Constant(_BITS, 16))
        return builder.bitcast(bits, ir.FloatType())

    return (types.float32(number), emit) if number in (types.float32, types.uint16) else None


def _narrow(context: Any, number: Any, array: Any) -> Any:
    """A float32 as *array* stores it: itself, or rounded to the nearest bfloat16, ties to even.

    By integers, which every processor has and which vectorise; the same bits everywhere.
    """
    del context

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if array.dtype == types.float32:
            return arguments[0]
        bits = builder.bitcast(arguments[0], _BITS)
        last = builder.and_(builder.lshr(bits, ir.Constant(_BITS, 16)), ir.Constant(_BITS, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(_BITS, 0x7FFF)), last)
        # Rounding could carry the bits of a NaN over to zero.
        is_nan = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        rounded = builder.select(is_nan, ir.Constant(_BITS, 0x7FC00000), rounded)
        return builder.trunc(builder.lshr(rounded, ir.Constant(_BITS, 16)), ir.IntType(16))

    return (array.dtype(types.float32, array), emit) if number == types.float32 else None


def _stored(context: Any, number: Any, array: Any) -> Any:
    """The same without rounding, for a *number* that *array* can hold: its upper 16 bits where it holds bfloat16."""
    del context

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if array.dtype == types.float32:
            return arguments[0]
        bits = builder.lshr(builder.bitcast(arguments[0], _BITS), ir.Constant(_BITS, 16))
        return builder.trunc(bits, ir.IntType(16))

    return (array.dtype(types.float32, array), emit) if number == types.float32 else None


# Any: with the decorator, mypy takes the context for an argument of the caller.
wide: Any = intrinsic(_wide)
narrow: Any = intrinsic(_narrow)
stored: Any = intrinsic(_stored)
