"""A convolution whose surviving weights are offsets: where each of them reads, in every shape of input.

A stride is folded away first; a linear layer is a convolution of 1x1 images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prunecheck.sparse import kernels
from prunecheck.sparse.fold import Window, fold, unfold
from prunecheck.sparse.maps import Map, Pool, Shape

NONE = np.zeros(0, np.float32)
NONE64 = np.zeros(0, np.float64)


@dataclass(frozen=True)
class SparseConv:
    """The surviving weights of one layer, sorted by output channel as they are in the weight.

    ``out``, ``into``: output and input channel of each (of all groups together); ``down``, ``right``: its tap in rows
    and columns of the input. int64 [survivors] each. ``into`` counts folded channels where the window has a stride.
    """

    channels_in: int
    channels_out: int
    window: Window
    out: Any
    into: Any
    down: Any
    right: Any
    first: Any
    back_order: Any
    back_first: Any
    _offsets: dict[tuple[str, Shape], Any] = field(default_factory=dict, compare=False)

    def forward(self, x: Map, y: Map, value: Any, base: Any, pool: Pool) -> Map:
        """Write the convolution of *x* with the weights *value* (float32 [survivors]) and biases *base* (float32
        [channels_out] or empty) into *y*; what the backward pass needs of *x*."""
        read = fold(x, self.window, y.shape, pool) if self.window.folds else x
        s = y.shape
        offset = self._cached("x", read.shape)
        kernels.gather(
            y.array, s.at, s.plane, s.row, s.height, s.length, read.array, read.shape.row, self.first, offset, value,
            base, False,
        )  # fmt: skip
        return read

    def slopes(self, g: Map, read: Map, with_base: bool) -> tuple[Any, Any]:
        """Gradients of the weights and of the biases, float64. *g*: gradient of the output."""
        s = g.shape
        slope = np.zeros(len(self.out))
        base = np.zeros(self.channels_out) if with_base else NONE64
        offset = self._cached("x", read.shape)
        kernels.dots(
            slope, g.array, s.at, s.plane, s.row, s.height, s.length, read.array, read.shape.row, self.first, offset,
            base,
        )  # fmt: skip
        return slope, base

    def backward(self, g: Map, into: Map, value: Any, add: bool, pool: Pool) -> None:
        """Write the gradient of the input into *into*, or add it. *g* has at least ``window.gradient_border`` zeros."""
        target = pool.take(self.window.folded(into.shape, g.shape)) if self.window.folds else into
        s = target.shape
        offset = self._cached("g", g.shape)
        kernels.gather(
            target.array, s.at, s.plane, s.row, s.height, s.length, g.array, g.shape.row, self.back_first, offset,
            value[self.back_order], NONE, add and not self.window.folds,
        )  # fmt: skip
        if self.window.folds:
            unfold(target, self.window, into, add)
            pool.give(target)

    def _cached(self, side: str, shape: Shape) -> Any:
        key = side, shape
        if key not in self._offsets:
            self._offsets[key] = self._x_offsets(shape) if side == "x" else self._g_offsets(shape)
        return self._offsets[key]

    def _x_offsets(self, x: Shape) -> Any:
        """Where each weight's input row begins for output row 0."""
        ph, pw = (0, 0) if self.window.folds else self.window.padding
        return x.at + self.into * x.plane + (self.down - ph) * x.row + (self.right - pw) * x.images

    def _g_offsets(self, g: Shape) -> Any:
        """Where each weight's row of the output's gradient begins for input row 0, in the order of input channels."""
        ph, pw = (0, 0) if self.window.folds else self.window.padding
        offset = g.at + self.out * g.plane + (ph - self.down) * g.row + (pw - self.right) * g.images
        return offset[self.back_order]


def sparse_conv(mask: Any, window: Window, groups: int) -> SparseConv:
    """The layer of a bool *mask* [out, in / groups, *kernel]."""
    out, into, down, right = (index.astype(np.int64) for index in np.nonzero(mask))
    channels_out, per_group = mask.shape[:2]
    channels_in = per_group * groups
    into += out // (channels_out // groups) * per_group
    down, right = down * window.dilation[0], right * window.dilation[1]
    sh, sw = window.stride
    into += window.numbers[down % sh, right % sw] * channels_in
    order = np.argsort(into, kind="stable")
    return SparseConv(
        channels_in, channels_out, window, out, into, down // sh, right // sw,
        np.searchsorted(out, np.arange(channels_out + 1)).astype(np.int64),
        order,
        np.searchsorted(into[order], np.arange(channels_in * len(window.classes) + 1)).astype(np.int64),
    )  # fmt: skip
