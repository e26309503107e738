"""Folding of strides: pixels a stride apart become neighbours, and every pixel class has its own channels.

A convolution with a stride is then an ordinary one over more channels. Class (a, b) holds the pixels whose padded row
and column are a and b modulo the stride; classes that no tap reads are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prunecheck.training.sparse.jit import compiled, inlined, narrow, wide
from prunecheck.training.sparse.maps import Map, Pool, Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution, (rows, columns) each; padding is with zeros."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def output(self, height: int, width: int) -> Pair:
        """Height and width of the output."""
        h, w = (
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, k, s, p, d in zip(
                (height, width), self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return h, w

    @property
    def reach(self) -> Pair:
        """The last tap, counted from the first, in rows and columns of the (folded) input."""
        h, w = (d * (k - 1) // s for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True))
        return h, w

    @property
    def folds(self) -> bool:
        return self.stride != (1, 1)

    @property
    def classes(self) -> list[Pair]:
        """The pixel classes that some tap reads, in order."""
        # With a stride larger than the kernel, some pixels are read by no tap.
        (kh, kw), (sh, sw), (dh, dw) = self.kernel, self.stride, self.dilation
        return sorted({(a * dh % sh, b * dw % sw) for a in range(kh) for b in range(kw)})

    @property
    def numbers(self) -> Any:
        """The number of every pixel class among ``classes`` (int64 [stride, stride]), -1 if no tap reads it."""
        numbers = np.full(self.stride, -1)
        for i, class_ in enumerate(self.classes):
            numbers[class_] = i
        return numbers

    @property
    def border(self) -> int:
        """Width of the zero border that an input map needs (0 if it is folded)."""
        return 0 if self.folds else max(self.padding)

    @property
    def gradient_border(self) -> int:
        """Width of the zero border that the gradient of the output needs."""
        if self.folds:
            return max(self.reach)
        return max(0, *(r - p for r, p in zip(self.reach, self.padding, strict=True)))

    def folded(self, x: Shape, y: Shape) -> Shape:
        """Of *x*, folded for an output of shape *y*, padding included."""
        down, right = self.reach
        return Shape(x.channels * len(self.classes), y.height + down, y.width + right, x.images)


def fold(x: Map, window: Window, y: Shape, pool: Pool) -> Map:
    """*x* padded and folded for an output of shape *y*."""
    folded = pool.take(window.folded(x.shape, y))
    s, t = x.shape, folded.shape
    _fold(
        x.array, s.at, s.plane, s.row, s.height, s.width, s.channels, s.images, folded.array, t.height, t.width,
        np.array(window.classes), np.array([*window.stride, *window.padding]),
    )  # fmt: skip
    return folded


def unfold(folded: Map, window: Window, x: Map, add: bool) -> None:
    """The folded gradient at the places of *x*, written or added."""
    s, t = x.shape, folded.shape
    _unfold(
        x.array, s.at, s.plane, s.row, s.height, s.width, s.channels, s.images, folded.array, t.height, t.width,
        window.numbers, np.array([*window.stride, *window.padding]), add,
    )  # fmt: skip


@compiled
def _fold(
    x: Any, at: int, plane: int, row: int, height: int, width: int, channels: int, images: int, folded: Any, rows: int,
    columns: int, classes: Any, sides: Any,
) -> None:  # fmt: skip
    sh, sw, ph, pw = sides[0], sides[1], sides[2], sides[3]
    for i in range(len(classes)):
        for c in range(channels):
            for h in range(rows):
                y = h * sh + classes[i, 0] - ph
                for w in range(columns):
                    x_ = w * sw + classes[i, 1] - pw
                    start = (((i * channels + c) * rows + h) * columns + w) * images
                    out = folded[start : start + images]
                    # Padding is written here, so that an input map that is folded needs no border of zeros.
                    if 0 <= y < height and 0 <= x_ < width:
                        _copy(x[at + c * plane + y * row + x_ * images :][:images], out)
                    else:
                        out[:] = 0


@compiled
def _unfold(
    x: Any, at: int, plane: int, row: int, height: int, width: int, channels: int, images: int, folded: Any, rows: int,
    columns: int, numbers: Any, sides: Any, add: bool,
) -> None:  # fmt: skip
    sh, sw, ph, pw = sides[0], sides[1], sides[2], sides[3]
    for c in range(channels):
        for y in range(height):
            h = (y + ph) // sh
            for x_ in range(width):
                w = (x_ + pw) // sw
                i = numbers[(y + ph) % sh, (x_ + pw) % sw]
                out = x[at + c * plane + y * row + x_ * images :][:images]
                if i >= 0 and h < rows and w < columns:
                    start = (((i * channels + c) * rows + h) * columns + w) * images
                    if add:
                        _add(folded[start : start + images], out)
                    else:
                        _copy(folded[start : start + images], out)
                # A pixel that no tap reads has a gradient of 0, and the buffer holds old numbers.
                elif not add:
                    out[:] = 0


@inlined
def _copy(a: Any, out: Any) -> None:
    for j in range(a.size):
        out[j] = a[j]


@inlined
def _add(a: Any, out: Any) -> None:
    for j in range(a.size):
        out[j] = narrow(wide(out[j]) + wide(a[j]), out)


def warm(stored: Any) -> None:
    """Compile the loops of this file, or load them from disk."""
    a, pairs, sides = np.zeros(1, stored), np.zeros((1, 2), np.int64), np.array([1, 1, 0, 0])
    _fold(a, 0, 1, 1, 1, 1, 1, 1, a.copy(), 1, 1, pairs, sides)
    _unfold(a, 0, 1, 1, 1, 1, 1, 1, a.copy(), 1, 1, pairs[:, :1], sides, True)
