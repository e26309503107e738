"""Batch norm, residual sum and ReLU together, channel by channel: a channel stays in the cache for both passes.

All functions work on flat buffers of one common shape, float32 or bfloat16 (held in uint16): channel ``c``, row ``h``
begins at ``at + c * plane + h * row`` and is ``length`` numbers long. Sums are taken in float32 along a row and in
float64 over rows. NaN goes through every comparison as torch lets it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prunecheck.training.sparse.jit import by_storage, compiled, inlined, narrow, stored, wide


@inlined
def moments(z: Any, at: int, row: int, rows: int, length: int) -> Any:
    """Mean and biased variance of one channel, float64, in one pass around the mean of its first row."""
    # Squares around 0 would cancel where the mean is large compared with the deviation.
    first, _ = _sums(z[at:][:length], np.float32(0))
    centre = np.float32(first / length)
    total, square = 0.0, 0.0
    for h in range(rows):
        part, part_square = _sums(z[at + h * row :][:length], centre)
        total += part
        square += part_square
    count = rows * length
    # Rounding can make the difference slightly negative.
    return centre + total / count, max(square / count - (total / count) ** 2, 0.0)


@compiled
def normalise(
    z: Any, y: Any, other: Any, at: int, plane: int, row: int, rows: int, length: int, gain: Any, offset: Any,
    eps: float, mean: Any, variance: Any, of_batch: bool, relu: bool,
) -> None:  # fmt: skip
    """``y = gain * (z - mean) / sqrt(variance + eps) + offset (+ other)``, then ReLU if asked for.

    *of_batch*: mean and variance (biased) are those of *z* and are written, else they are read. An empty *other* is
    none.
    """
    for c in range(mean.size):
        start = at + c * plane
        if of_batch:
            mean[c], variance[c] = moments(z, start, row, rows, length)
        slope = gain[c] / np.sqrt(variance[c] + eps)
        scale, shift = np.float32(slope), np.float32(offset[c] - slope * mean[c])
        for h in range(rows):
            a, out = z[start + h * row :][:length], y[start + h * row :][:length]
            if other.size > 0:
                _affine_sum(a, other[start + h * row :][:length], out, scale, shift, relu)
            else:
                _affine(a, out, scale, shift, relu)


@compiled
def normalise_back(
    g: Any, z: Any, y: Any, d: Any, at: int, plane: int, row: int, rows: int, length: int, gain: Any, offset: Any,
    mean: Any, inverse: Any, gain_slope: Any, offset_slope: Any, relu: bool, of_batch: bool,
) -> None:  # fmt: skip
    """The gradient of *z* into *d*, given the gradient *g* of the output. Slopes are float64.

    An empty *d*: into *g*, since a loop over two arrays that are one is not vectorised. Else *g* becomes the gradient
    of the sum before the ReLU, which is the residual's. *y* is the output; an empty *y* means that nothing was added,
    so that the ReLU is known from *z*. *inverse*: 1 / standard deviation. *of_batch*: the statistics were those of the
    batch, so that they have gradients too.
    """
    count = rows * length
    for c in range(mean.size):
        start = at + c * plane
        by_g = gain[c] * inverse[c]
        scale, shift = np.float32(by_g), np.float32(offset[c] - by_g * mean[c])
        bends = relu and y.size == 0
        centre = np.float32(mean[c])
        total, product = 0.0, 0.0
        for h in range(rows):
            slope, a = g[start + h * row :][:length], z[start + h * row :][:length]
            if bends:
                part, part_product = _bent_products(slope, a, centre, scale, shift)
            elif relu:
                part, part_product = _masked_products(slope, y[start + h * row :][:length], a, centre)
            else:
                part, part_product = _products(slope, a, centre)
            total += part
            product += part_product
        # The products were taken around the mean rounded to float32; this moves them to the mean itself.
        product -= total * (mean[c] - centre)
        offset_slope[c] = total
        gain_slope[c] = product * inverse[c]
        by_z, rest = 0.0, 0.0
        if of_batch:
            by_z = -by_g * inverse[c] * inverse[c] * product / count
            rest = -by_g * total / count - by_z * mean[c]
        factor, base = np.float32(by_z), np.float32(rest)
        for h in range(rows):
            here = start + h * row
            slope, a = g[here:][:length], z[here:][:length]
            if d.size > 0:
                _combine(slope, a, d[here:][:length], scale, factor, base)
            else:
                _combine_in_place(slope, a, scale, factor, base)


@compiled
def join(
    z: Any, y: Any, other: Any, at: int, plane: int, row: int, channels: int, rows: int, length: int, relu: bool
) -> None:
    """``y = z (+ other)``, then ReLU if asked for. An empty *other* is none."""
    one, none = np.float32(1), np.float32(0)
    for c in range(channels):
        for h in range(rows):
            start = at + c * plane + h * row
            if other.size > 0:
                _affine_sum(z[start:][:length], other[start:][:length], y[start:][:length], one, none, relu)
            else:
                _affine(z[start:][:length], y[start:][:length], one, none, relu)


@compiled
def mask(g: Any, y: Any, at: int, plane: int, row: int, channels: int, rows: int, length: int) -> None:
    """Zero *g* where the ReLU's output *y* is 0."""
    for c in range(channels):
        for h in range(rows):
            start = at + c * plane + h * row
            # The same loop as behind a batch norm, so that both treat NaN alike; its sums are not needed here.
            _masked_products(g[start:][:length], y[start:][:length], y[start:][:length], np.float32(0))


@inlined
def _sums(a: Any, centre: Any) -> Any:
    s = t = np.float32(0)
    for j in range(a.size):
        x = wide(a[j]) - centre
        s += x
        t += x * x
    return s, t


@inlined
def _products(g: Any, z: Any, centre: Any) -> Any:
    s = t = np.float32(0)
    for j in range(g.size):
        s += wide(g[j])
        t += wide(g[j]) * (wide(z[j]) - centre)
    return s, t


def _bent_float32(g: Any, z: Any, centre: Any, scale: Any, shift: Any) -> Any:
    s = t = np.float32(0)
    for j in range(g.size):
        # Not "g[j] if ... > 0": the gradient passes where the value is NaN, as in torch.
        x = np.float32(0) if scale * z[j] + shift <= 0 else g[j]
        g[j] = x
        s += x
        t += x * (z[j] - centre)
    return s, t


def _bent_bfloat16(g: Any, z: Any, centre: Any, scale: Any, shift: Any) -> Any:
    s = t = np.float32(0)
    for j in range(g.size):
        # Read in any case: AVX2 has no conditional loads of 16 bits, so that a loop with one stays scalar there.
        slope = wide(g[j])
        x = np.float32(0) if scale * wide(z[j]) + shift <= 0 else slope
        g[j] = stored(x, g)
        s += x
        t += x * (wide(z[j]) - centre)
    return s, t


_bent_products = by_storage(_bent_float32, _bent_bfloat16)


def _masked_float32(g: Any, y: Any, z: Any, centre: Any) -> Any:
    s = t = np.float32(0)
    for j in range(g.size):
        # As above: NaN lets the gradient pass.
        x = np.float32(0) if y[j] <= 0 else g[j]
        g[j] = x
        s += x
        t += x * (z[j] - centre)
    return s, t


def _masked_bfloat16(g: Any, y: Any, z: Any, centre: Any) -> Any:
    s = t = np.float32(0)
    for j in range(g.size):
        slope = wide(g[j])
        x = np.float32(0) if wide(y[j]) <= 0 else slope
        g[j] = stored(x, g)
        s += x
        t += x * (wide(z[j]) - centre)
    return s, t


_masked_products = by_storage(_masked_float32, _masked_bfloat16)


@inlined
def _affine(a: Any, out: Any, scale: Any, shift: Any, relu: bool) -> None:
    if relu:
        for j in range(a.size):
            x = scale * wide(a[j]) + shift
            # Not max(x, 0): NaN stays NaN, as in torch's ReLU.
            out[j] = narrow(np.float32(0) if x < 0 else x, out)
    else:
        for j in range(a.size):
            out[j] = narrow(scale * wide(a[j]) + shift, out)


@inlined
def _affine_sum(a: Any, b: Any, out: Any, scale: Any, shift: Any, relu: bool) -> None:
    if relu:
        for j in range(a.size):
            x = scale * wide(a[j]) + shift + wide(b[j])
            out[j] = narrow(np.float32(0) if x < 0 else x, out)
    else:
        for j in range(a.size):
            out[j] = narrow(scale * wide(a[j]) + shift + wide(b[j]), out)


@inlined
def _combine(g: Any, z: Any, d: Any, by_g: Any, by_z: Any, shift: Any) -> None:
    for j in range(g.size):
        d[j] = narrow(by_g * wide(g[j]) + by_z * wide(z[j]) + shift, d)


@inlined
def _combine_in_place(g: Any, z: Any, by_g: Any, by_z: Any, shift: Any) -> None:
    for j in range(g.size):
        g[j] = narrow(by_g * wide(g[j]) + by_z * wide(z[j]) + shift, g)
