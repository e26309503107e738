"""Max-pooling and the mean of a whole map, images innermost."""

from __future__ import annotations

from typing import Any

import numpy as np

from prunecheck.sparse.jit import compiled


@compiled
def max_pool(
    x: Any, x_at: int, x_plane: int, x_row: int, height: int, width: int, y: Any, y_at: int, y_plane: int, y_row: int,
    rows: int, columns: int, chosen: Any, window: Any, channels: int, images: int,
) -> None:  # fmt: skip
    """The largest of every window of ``height x width`` pixels; *chosen* (uint8, as long as the output without border)
    says which tap it was, the first of equals. ``window``: kernel, stride, padding (rows, columns each)."""
    kh, kw, sh, sw, ph, pw = window[0], window[1], window[2], window[3], window[4], window[5]
    for c in range(channels):
        for h in range(rows):
            for w in range(columns):
                out = y[y_at + c * y_plane + h * y_row + w * images :][:images]
                tap = chosen[((c * rows + h) * columns + w) * images :][:images]
                out[:] = -np.inf
                tap[:] = np.uint8(max(0, ph - h * sh) * kw + max(0, pw - w * sw))
                for a in range(max(0, ph - h * sh), min(kh, height + ph - h * sh)):
                    for b in range(max(0, pw - w * sw), min(kw, width + pw - w * sw)):
                        start = x_at + c * x_plane + (h * sh + a - ph) * x_row + (w * sw + b - pw) * images
                        _larger(x[start:][:images], out, tap, np.uint8(a * kw + b))


@compiled
def max_pool_back(
    g: Any, g_at: int, g_plane: int, g_row: int, rows: int, columns: int, d: Any, d_at: int, d_plane: int, d_row: int,
    height: int, width: int, chosen: Any, window: Any, channels: int, images: int,
) -> None:  # fmt: skip
    """Add every gradient in *g* to the pixel of *d* it was chosen from."""
    kh, kw, sh, sw, ph, pw = window[0], window[1], window[2], window[3], window[4], window[5]
    for c in range(channels):
        for h in range(rows):
            for w in range(columns):
                slope = g[g_at + c * g_plane + h * g_row + w * images :][:images]
                tap = chosen[((c * rows + h) * columns + w) * images :][:images]
                for a in range(max(0, ph - h * sh), min(kh, height + ph - h * sh)):
                    for b in range(max(0, pw - w * sw), min(kw, width + pw - w * sw)):
                        start = d_at + c * d_plane + (h * sh + a - ph) * d_row + (w * sw + b - pw) * images
                        _route(slope, tap, d[start:][:images], np.uint8(a * kw + b))


@compiled
def _larger(x: Any, out: Any, tap: Any, which: Any) -> None:
    for j in range(x.size):
        wins = x[j] > out[j] or x[j] != x[j]
        out[j] = x[j] if wins else out[j]
        tap[j] = which if wins else tap[j]


@compiled
def _route(slope: Any, tap: Any, d: Any, which: Any) -> None:
    for j in range(d.size):
        d[j] += slope[j] if tap[j] == which else np.float32(0)
