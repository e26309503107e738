"""The two loops of a sparse convolution, over flat buffers, float32 or bfloat16, in which images are innermost.

A kept weight is one offset into the input: the output row it adds to and the input row it reads are both
contiguous, ``width x images`` numbers long, for every kernel, padding, dilation and group. So a row of the
output is a sum of shifted input rows, and the gradient of a weight is a dot product of two rows. Up to eight surviving
weights share one pass, so that the output row is loaded and stored an eighth as often.

``first[c] .. first[c+1]`` are the kept weights of channel ``c`` (int64 [channels + 1]); ``offset`` (int64) is
where a weight's input row begins for output row 0; ``at, plane, row`` say where a buffer's channel 0 row 0 begins and
how far apart channels and rows are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prunecheck.training.sparse.jit import compiled, inlined, narrow, wide

BLOCK = 2048
"""numbers of one row handled at a time: 8 KiB, a quarter of a first-level cache"""


@compiled
def gather(
    out: Any, at: int, plane: int, row: int, rows: int, length: int, x: Any, x_row: int, first: Any, offset: Any,
    value: Any, base: Any, add: bool,
) -> None:  # fmt: skip
    """``out[c, h] (+)= base[c] + sum of value[k] * x[offset[k] + h * x_row:][:length]`` over the weights k of c.

    *add* keeps what ``out`` holds; an empty *base* is none. Forward pass, and backward pass towards the input with
    transposed weights.
    """
    for begin in range(0, length, BLOCK):
        n = min(BLOCK, length - begin)
        # One block of columns and one row at a time for all channels: they read the same few input rows, which stay in
        # the cache.
        for h in range(rows):
            here = begin + h * x_row
            for c in range(first.size - 1):
                start = at + c * plane + h * row + begin
                o = out[start : start + n]
                _gather_row(o, x, here, offset, value, first[c], first[c + 1], base[c : c + 1], add)


@compiled
def gather_narrow(
    out: Any, at: int, plane: int, row: int, rows: int, length: int, x: Any, x_row: int, first: Any, offset: Any,
    value: Any, base: Any, add: bool,
) -> None:  # fmt: skip
    """The same into bfloat16: sums are float32 and rounded once."""
    sums = np.empty(BLOCK, np.float32)
    for begin in range(0, length, BLOCK):
        n = min(BLOCK, length - begin)
        for h in range(rows):
            here = begin + h * x_row
            for c in range(first.size - 1):
                start = at + c * plane + h * row + begin
                o, s = out[start : start + n], sums[:n]
                if add:
                    _widen(o, s)
                _gather_row(s, x, here, offset, value, first[c], first[c + 1], base[c : c + 1], add)
                _narrow(s, o)


@inlined
def _gather_row(
    o: Any, x: Any, here: int, offset: Any, value: Any, k: int, end: int, base: Any, filled: bool
) -> None:  # fmt: skip
    """One row of one channel."""
    # The first weights of a row overwrite it: reused buffers then need no pass that zeroes them.
    if base.size > 0:
        o[:] = base[0]
        filled = True
    while k + 8 <= end:
        _add8(o, x, here, offset, value, k, filled)
        k, filled = k + 8, True
    if k + 4 <= end:
        _add4(o, x, here, offset, value, k, filled)
        k, filled = k + 4, True
    if k + 3 == end:
        _add3(o, x, here, offset, value, k, filled)
        k, filled = k + 3, True
    if k + 2 == end:
        _add2(o, x, here, offset, value, k, filled)
        k, filled = k + 2, True
    if k < end:
        _add1(o, x, here, offset, value, k, filled)
        filled = True
    # A channel without kept weights has an output too, and the buffer holds old numbers.
    if not filled:
        o[:] = 0


@compiled
def dots(
    slope: Any, g: Any, at: int, plane: int, row: int, rows: int, length: int, x: Any, x_row: int, first: Any,
    offset: Any, base: Any,
) -> None:  # fmt: skip
    """``slope[k] += sum over h of g[c, h] . x[offset[k] + h * x_row:][:length]``: gradients of the weights (float64).

    ``base[c] += sum of g[c]`` (float64), the gradients of the biases, unless *base* is empty.
    """
    for begin in range(0, length, BLOCK):
        n = min(BLOCK, length - begin)
        for h in range(rows):
            here = begin + h * x_row
            for c in range(first.size - 1):
                start = at + c * plane + h * row + begin
                o = g[start : start + n]
                k, end = first[c], first[c + 1]
                if base.size > 0:
                    base[c] += _total(o)
                while k + 8 <= end:
                    _dot8(o, x, here, offset, slope, k)
                    k += 8
                if k + 4 <= end:
                    _dot4(o, x, here, offset, slope, k)
                    k += 4
                if k + 2 <= end:
                    _dot2(o, x, here, offset, slope, k)
                    k += 2
                if k < end:
                    _dot1(o, x, here, offset, slope, k)


@inlined
def _add8(o: Any, x: Any, here: int, offset: Any, value: Any, k: int, filled: bool) -> None:
    n = o.size
    # Slices, not indices into x: loops over contiguous one-dimensional rows become vector instructions.
    w0, w1, w2, w3 = value[k], value[k + 1], value[k + 2], value[k + 3]
    w4, w5, w6, w7 = value[k + 4], value[k + 5], value[k + 6], value[k + 7]
    x0, x1 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n]
    x2, x3 = x[here + offset[k + 2] :][:n], x[here + offset[k + 3] :][:n]
    x4, x5 = x[here + offset[k + 4] :][:n], x[here + offset[k + 5] :][:n]
    x6, x7 = x[here + offset[k + 6] :][:n], x[here + offset[k + 7] :][:n]
    if filled:
        for j in range(n):
            o[j] += (w0 * wide(x0[j]) + w1 * wide(x1[j]) + w2 * wide(x2[j]) + w3 * wide(x3[j])) + (
                w4 * wide(x4[j]) + w5 * wide(x5[j]) + w6 * wide(x6[j]) + w7 * wide(x7[j])
            )
    else:
        for j in range(n):
            o[j] = (w0 * wide(x0[j]) + w1 * wide(x1[j]) + w2 * wide(x2[j]) + w3 * wide(x3[j])) + (
                w4 * wide(x4[j]) + w5 * wide(x5[j]) + w6 * wide(x6[j]) + w7 * wide(x7[j])
            )


@inlined
def _add4(o: Any, x: Any, here: int, offset: Any, value: Any, k: int, filled: bool) -> None:
    n = o.size
    w0, w1, w2, w3 = value[k], value[k + 1], value[k + 2], value[k + 3]
    x0, x1 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n]
    x2, x3 = x[here + offset[k + 2] :][:n], x[here + offset[k + 3] :][:n]
    if filled:
        for j in range(n):
            o[j] += w0 * wide(x0[j]) + w1 * wide(x1[j]) + w2 * wide(x2[j]) + w3 * wide(x3[j])
    else:
        for j in range(n):
            o[j] = w0 * wide(x0[j]) + w1 * wide(x1[j]) + w2 * wide(x2[j]) + w3 * wide(x3[j])


@inlined
def _add3(o: Any, x: Any, here: int, offset: Any, value: Any, k: int, filled: bool) -> None:
    n = o.size
    w0, w1, w2 = value[k], value[k + 1], value[k + 2]
    x0, x1, x2 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n], x[here + offset[k + 2] :][:n]
    if filled:
        for j in range(n):
            o[j] += w0 * wide(x0[j]) + w1 * wide(x1[j]) + w2 * wide(x2[j])
    else:
        for j in range(n):
            o[j] = w0 * wide(x0[j]) + w1 * wide(x1[j]) + w2 * wide(x2[j])


@inlined
def _add2(o: Any, x: Any, here: int, offset: Any, value: Any, k: int, filled: bool) -> None:
    n = o.size
    w0, w1 = value[k], value[k + 1]
    x0, x1 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n]
    if filled:
        for j in range(n):
            o[j] += w0 * wide(x0[j]) + w1 * wide(x1[j])
    else:
        for j in range(n):
            o[j] = w0 * wide(x0[j]) + w1 * wide(x1[j])


@inlined
def _add1(o: Any, x: Any, here: int, offset: Any, value: Any, k: int, filled: bool) -> None:
    n = o.size
    w0, x0 = value[k], x[here + offset[k] :][:n]
    if filled:
        for j in range(n):
            o[j] += w0 * wide(x0[j])
    else:
        for j in range(n):
            o[j] = w0 * wide(x0[j])


@inlined
def _dot8(o: Any, x: Any, here: int, offset: Any, slope: Any, k: int) -> None:
    n = o.size
    x0, x1 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n]
    x2, x3 = x[here + offset[k + 2] :][:n], x[here + offset[k + 3] :][:n]
    x4, x5 = x[here + offset[k + 4] :][:n], x[here + offset[k + 5] :][:n]
    x6, x7 = x[here + offset[k + 6] :][:n], x[here + offset[k + 7] :][:n]
    # float32 within a block of a row (a plain 0.0 would make the sums float64 and the loop slower); the sums over
    # blocks and rows are float64, in *slope*.
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0)
    for j in range(n):
        t = wide(o[j])
        s0 += t * wide(x0[j])
        s1 += t * wide(x1[j])
        s2 += t * wide(x2[j])
        s3 += t * wide(x3[j])
        s4 += t * wide(x4[j])
        s5 += t * wide(x5[j])
        s6 += t * wide(x6[j])
        s7 += t * wide(x7[j])
    slope[k] += s0
    slope[k + 1] += s1
    slope[k + 2] += s2
    slope[k + 3] += s3
    slope[k + 4] += s4
    slope[k + 5] += s5
    slope[k + 6] += s6
    slope[k + 7] += s7


@inlined
def _dot4(o: Any, x: Any, here: int, offset: Any, slope: Any, k: int) -> None:
    n = o.size
    x0, x1 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n]
    x2, x3 = x[here + offset[k + 2] :][:n], x[here + offset[k + 3] :][:n]
    s0 = s1 = s2 = s3 = np.float32(0)
    for j in range(n):
        t = wide(o[j])
        s0 += t * wide(x0[j])
        s1 += t * wide(x1[j])
        s2 += t * wide(x2[j])
        s3 += t * wide(x3[j])
    slope[k] += s0
    slope[k + 1] += s1
    slope[k + 2] += s2
    slope[k + 3] += s3


@inlined
def _dot2(o: Any, x: Any, here: int, offset: Any, slope: Any, k: int) -> None:
    n = o.size
    x0, x1 = x[here + offset[k] :][:n], x[here + offset[k + 1] :][:n]
    s0 = s1 = np.float32(0)
    for j in range(n):
        t = wide(o[j])
        s0 += t * wide(x0[j])
        s1 += t * wide(x1[j])
    slope[k] += s0
    slope[k + 1] += s1


@inlined
def _dot1(o: Any, x: Any, here: int, offset: Any, slope: Any, k: int) -> None:
    n = o.size
    x0 = x[here + offset[k] :][:n]
    s0 = np.float32(0)
    for j in range(n):
        s0 += wide(o[j]) * wide(x0[j])
    slope[k] += s0


@inlined
def _total(o: Any) -> Any:
    s = np.float32(0)
    for j in range(o.size):
        s += wide(o[j])
    return s


@inlined
def _widen(a: Any, out: Any) -> None:
    for j in range(a.size):
        out[j] = wide(a[j])


@inlined
def _narrow(a: Any, out: Any) -> None:
    for j in range(a.size):
        out[j] = narrow(a[j], out)
