"""Max-pooling and the mean of whole maps, images innermost."""

from __future__ import annotations

from typing import Any

import numpy as np

from prunecheck.training.sparse.jit import compiled, inlined, narrow, wide


@compiled
def max_pool(
    x: Any, x_at: int, x_plane: int, x_row: int, height: int, width: int, y: Any, y_at: int, y_plane: int, y_row: int,
    rows: int, columns: int, window: Any, channels: int, images: int,
) -> None:  # fmt: skip
    """The largest of every window of ``height x width`` pixels. *window*: kernel, stride, padding (rows, columns)."""
    kh, kw, sh, sw, ph, pw = window[0], window[1], window[2], window[3], window[4], window[5]
    for c in range(channels):
        for h in range(rows):
            for w in range(columns):
                out = y[y_at + c * y_plane + h * y_row + w * images :][:images]
                _lowest(out)
                for a in range(max(0, ph - h * sh), min(kh, height + ph - h * sh)):
                    for b in range(max(0, pw - w * sw), min(kw, width + pw - w * sw)):
                        start = x_at + c * x_plane + (h * sh + a - ph) * x_row + (w * sw + b - pw) * images
                        _larger(x[start:][:images], out)


@compiled
def max_pool_back(
    g: Any, y: Any, y_at: int, y_plane: int, y_row: int, rows: int, columns: int, d: Any, x: Any, x_at: int,
    x_plane: int, x_row: int, height: int, width: int, window: Any, channels: int, images: int,
) -> None:  # fmt: skip
    """Add every gradient in *g* to the pixel of *d* that its window was equal to, the first of several; *g* is lost."""
    kh, kw, sh, sw, ph, pw = window[0], window[1], window[2], window[3], window[4], window[5]
    for c in range(channels):
        for h in range(rows):
            for w in range(columns):
                at = y_at + c * y_plane + h * y_row + w * images
                for a in range(max(0, ph - h * sh), min(kh, height + ph - h * sh)):
                    for b in range(max(0, pw - w * sw), min(kw, width + pw - w * sw)):
                        start = x_at + c * x_plane + (h * sh + a - ph) * x_row + (w * sw + b - pw) * images
                        _route(g[at:][:images], y[at:][:images], x[start:][:images], d[start:][:images])


@compiled
def mean(x: Any, at: int, plane: int, row: int, height: int, width: int, means: Any) -> None:
    """The mean of every channel of every image: *means* [channels, images]."""
    for c in range(means.shape[0]):
        out = means[c]
        out[:] = 0
        for h in range(height):
            for w in range(width):
                _add(x[at + c * plane + h * row + w * out.size :][: out.size], out)
        for j in range(out.size):
            out[j] /= height * width


@inlined
def _add(a: Any, out: Any) -> None:
    for j in range(a.size):
        out[j] += wide(a[j])


@inlined
def _lowest(out: Any) -> None:
    for j in range(out.size):
        out[j] = narrow(np.float32(-np.inf), out)


@inlined
def _larger(x: Any, out: Any) -> None:
    for j in range(x.size):
        # A NaN that has been found stays, and a NaN that comes replaces what is there.
        found, new = wide(out[j]), wide(x[j])
        out[j] = out[j] if new <= found or found != found else x[j]


@inlined
def _route(g: Any, y: Any, x: Any, d: Any) -> None:
    for j in range(d.size):
        # x == y never holds for NaN, which is the maximum of a window that has one, as in torch.
        at, none = wide(x[j]), np.float32(0)
        chosen = at == wide(y[j]) or at != at
        slope = wide(g[j])
        d[j] = narrow(wide(d[j]) + (slope if chosen else none), d)
        # Used up: a later pixel of the same window that is equal gets nothing, as in torch.
        g[j] = narrow(none if chosen else slope, g)
