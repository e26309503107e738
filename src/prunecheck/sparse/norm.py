"""Batch norm, residual sum and ReLU in one go, channel by channel: a channel stays in the cache for all its passes.

All functions work on flat float32 buffers of one common shape: channel ``c``, row ``h`` begins at
``at + c * plane + h * row`` and is ``length`` numbers long. Statistics are summed in float32 along a row and in float64
over rows. NaN goes through every comparison as torch lets it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prunecheck.sparse.jit import compiled


@compiled
def moments(z: Any, at: int, plane: int, row: int, rows: int, length: int, mean: Any, variance: Any) -> None:
    """Mean and biased variance of every channel, float64."""
    count = rows * length
    for c in range(mean.size):
        total = 0.0
        for h in range(rows):
            total += _sum(z[at + c * plane + h * row :][:length])
        mean[c] = total / count
        centre, spread = np.float32(mean[c]), 0.0
        for h in range(rows):
            spread += _spread(z[at + c * plane + h * row :][:length], centre)
        variance[c] = spread / count - (mean[c] - centre) ** 2


@compiled
def apply(
    z: Any, y: Any, other: Any, at: int, plane: int, row: int, rows: int, length: int, scale: Any, shift: Any,
    relu: bool,
) -> None:  # fmt: skip
    """``y = scale[c] * z + shift[c] (+ other)``, then ReLU if asked for. An empty *other* is none."""
    for c in range(scale.size):
        for h in range(rows):
            start = at + c * plane + h * row
            if other.size > 0:
                _affine_sum(z[start:][:length], other[start:][:length], y[start:][:length], scale[c], shift[c])
            else:
                _affine(z[start:][:length], y[start:][:length], scale[c], shift[c])
            if relu:
                _relu(y[start:][:length])


@compiled
def normalise(
    z: Any, y: Any, other: Any, at: int, plane: int, row: int, rows: int, length: int, gain: Any, offset: Any,
    eps: float, mean: Any, variance: Any, relu: bool,
) -> None:  # fmt: skip
    """Batch norm with the batch's own statistics, which go to *mean* and *variance* (biased), and :func:`apply`."""
    scale, shift = np.empty(1, np.float32), np.empty(1, np.float32)
    for c in range(mean.size):
        start = at + c * plane
        moments(z, start, plane, row, rows, length, mean[c : c + 1], variance[c : c + 1])
        slope = gain[c] / np.sqrt(variance[c] + eps)
        scale[0] = slope
        shift[0] = offset[c] - slope * mean[c]
        apply(z, y, other, start, plane, row, rows, length, scale, shift, relu)


@compiled
def normalise_back(
    g: Any, z: Any, y: Any, d: Any, at: int, plane: int, row: int, rows: int, length: int, gain: Any, mean: Any,
    inverse: Any, gain_slope: Any, offset_slope: Any, relu: bool, of_batch: bool,
) -> None:  # fmt: skip
    """The gradient of *z* into *d* (which may be *g*), given the gradient *g* of *y*.

    *g* becomes the gradient of the sum before the ReLU, which is the residual's. *inverse*: 1 / standard deviation.
    *of_batch*: the statistics were the batch's own, so that they have gradients too. Slopes are float64.
    """
    count = rows * length
    for c in range(mean.size):
        total, product = 0.0, 0.0
        centre = np.float32(mean[c])
        for h in range(rows):
            start = at + c * plane + h * row
            if relu:
                _mask(g[start:][:length], y[start:][:length])
            total += _sum(g[start:][:length])
            product += _product(g[start:][:length], z[start:][:length], centre)
        product -= total * (mean[c] - centre)
        offset_slope[c] = total
        gain_slope[c] = product * inverse[c]
        a = gain[c] * inverse[c]
        b, e = 0.0, 0.0
        if of_batch:
            b = -a * inverse[c] * inverse[c] * product / count
            e = -a * total / count - b * mean[c]
        for h in range(rows):
            start = at + c * plane + h * row
            _affine2(
                g[start:][:length], z[start:][:length], d[start:][:length], np.float32(a), np.float32(b), np.float32(e)
            )


@compiled
def join(
    z: Any, y: Any, other: Any, at: int, plane: int, row: int, channels: int, rows: int, length: int, relu: bool
) -> None:
    """``y = z (+ other)``, then ReLU if asked for. An empty *other* is none."""
    for c in range(channels):
        for h in range(rows):
            start = at + c * plane + h * row
            if other.size > 0:
                _sum2(z[start:][:length], other[start:][:length], y[start:][:length])
            else:
                y[start:][:length] = z[start:][:length]
            if relu:
                _relu(y[start:][:length])


@compiled
def mask(g: Any, y: Any, at: int, plane: int, row: int, channels: int, rows: int, length: int) -> None:
    """Zero *g* where the ReLU's output *y* is 0."""
    for c in range(channels):
        for h in range(rows):
            start = at + c * plane + h * row
            _mask(g[start:][:length], y[start:][:length])


@compiled
def _sum(a: Any) -> Any:
    s = np.float32(0)
    for j in range(a.size):
        s += a[j]
    return s


@compiled
def _spread(a: Any, centre: Any) -> Any:
    s = np.float32(0)
    for j in range(a.size):
        t = a[j] - centre
        s += t * t
    return s


@compiled
def _product(a: Any, b: Any, centre: Any) -> Any:
    s = np.float32(0)
    for j in range(a.size):
        s += a[j] * (b[j] - centre)
    return s


@compiled
def _affine(a: Any, out: Any, scale: Any, shift: Any) -> None:
    for j in range(a.size):
        out[j] = scale * a[j] + shift


@compiled
def _affine_sum(a: Any, b: Any, out: Any, scale: Any, shift: Any) -> None:
    for j in range(a.size):
        out[j] = scale * a[j] + shift + b[j]


@compiled
def _affine2(a: Any, b: Any, out: Any, by_a: Any, by_b: Any, shift: Any) -> None:
    for j in range(a.size):
        out[j] = by_a * a[j] + by_b * b[j] + shift


@compiled
def _sum2(a: Any, b: Any, out: Any) -> None:
    for j in range(a.size):
        out[j] = a[j] + b[j]


@compiled
def _relu(a: Any) -> None:
    for j in range(a.size):
        a[j] = np.float32(0) if a[j] < 0 else a[j]


@compiled
def _mask(g: Any, y: Any) -> None:
    for j in range(g.size):
        g[j] = np.float32(0) if y[j] <= 0 else g[j]
