"""A convolution whose kept weights are offsets: where each of them reads, in every shape of input.

A stride is folded away first; a linear layer is a convolution of 1x1 images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prunecheck.training.sparse import kernels
from prunecheck.training.sparse.fold import Window, fold, unfold
from prunecheck.training.sparse.maps import Map, Pool, Shape

NONE = np.zeros(0, np.float32)
NONE64 = np.zeros(0, np.float64)


CACHE = 1 << 18
"""bytes of input that a pass may go back to: half of a usual second-level cache"""
LEAST = 16
"""kept weights of a channel that make a pass of its own worth it"""


@dataclass(frozen=True)
class Pass:
    """Surviving weights in the order of the channels they add to: channel c has those from ``first[c]`` to
    ``first[c + 1]``. ``order``: their positions in the parameter; ``offset``: see
    :mod:`prunecheck.training.sparse.kernels`."""

    first: Any
    order: Any
    offset: Any


@dataclass(frozen=True)
class SparseConv:
    """The kept weights of one layer, in the order of its parameter.

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
    # Offsets depend on the shape of the map, the number of images included: computed once for every shape.
    _passes: dict[tuple[str, Shape, bool], list[Pass]] = field(default_factory=dict, compare=False)

    def forward(self, x: Map, y: Map, value: Any, base: Any, pool: Pool) -> Map:
        """Write the convolution of *x* with the weights *value* (float32 [survivors]) and biases *base* (float32
        [channels_out] or empty) into *y*; what the backward pass needs of *x*."""
        read = fold(x, self.window, y.shape, pool) if self.window.folds else x
        s = y.shape
        gather, passes = _gather_of(y), self._forward_passes(read)
        for i, part in enumerate(passes):
            gather(
                y.array, s.at, s.plane, s.row, s.height, s.length, read.array, read.shape.row, part.first, part.offset,
                # Biases once; later passes add to what the first has written.
                value[part.order], base if i == 0 else NONE, i > 0,
            )  # fmt: skip
        return read

    def slopes(self, g: Map, read: Map, with_base: bool) -> tuple[Any, Any]:
        """Gradients of the weights and of the biases, float64. *g*: gradient of the output."""
        s = g.shape
        slope = np.empty(len(self.out))
        base = np.zeros(self.channels_out) if with_base else NONE64
        for i, part in enumerate(self._forward_passes(read)):
            found = np.zeros(len(part.order))
            kernels.dots(
                found, g.array, s.at, s.plane, s.row, s.height, s.length, read.array, read.shape.row, part.first,
                part.offset, base if i == 0 else NONE64,
            )  # fmt: skip
            slope[part.order] = found
        return slope, base

    def backward(self, g: Map, into: Map, value: Any, add: bool, pool: Pool) -> None:
        """Write the gradient of the input into *into*, or add it. *g* has at least ``window.gradient_border`` zeros."""
        target = pool.take(self.window.folded(into.shape, g.shape)) if self.window.folds else into
        s = target.shape
        gather, passes = _gather_of(target), self._backward_passes(g)
        for i, part in enumerate(passes):
            gather(
                target.array, s.at, s.plane, s.row, s.height, s.length, g.array, g.shape.row, part.first, part.offset,
                # A folded target is a buffer of its own: unfold() adds it to the gradient.
                value[part.order], NONE, i > 0 or (add and not self.window.folds),
            )  # fmt: skip
        if self.window.folds:
            unfold(target, self.window, into, add)
            pool.give(target)

    def _forward_passes(self, read: Map) -> list[Pass]:
        """A weight's input row begins, for output row 0, at its tap less the padding."""
        x, key = read.shape, ("x", read.shape, read.is_narrow)
        if key not in self._passes:
            # Folding has already added the padding.
            ph, pw = (0, 0) if self.window.folds else self.window.padding
            offset = x.at + self.into * x.plane + (self.down - ph) * x.row + (self.right - pw) * x.images
            self._passes[key] = self._split(self.out, self.channels_out, self.into, offset, read)
        return self._passes[key]

    def _backward_passes(self, read: Map) -> list[Pass]:
        """The same from the output's gradient to the input's: a tap less the padding the other way."""
        g, key = read.shape, ("g", read.shape, read.is_narrow)
        if key not in self._passes:
            ph, pw = (0, 0) if self.window.folds else self.window.padding
            offset = g.at + self.out * g.plane + (ph - self.down) * g.row + (pw - self.right) * g.images
            channels = self.channels_in * len(self.window.classes) if self.window.folds else self.channels_in
            self._passes[key] = self._split(self.into, channels, self.out, offset, read)
        return self._passes[key]

    def _split(self, target: Any, channels: int, source: Any, offset: Any, map_: Map) -> list[Pass]:
        """Passes over the map once for every group of *source* channels whose rows in use fit into the cache together.

        Every pass loads and stores the whole target, so that channels with few weights are not split.
        """
        rows, read = 1 + self.window.reach[0], map_.shape
        window = 4 * rows * min(read.row, kernels.BLOCK) * read.channels
        parts = max(1, min(-(-window // CACHE), len(target) // (channels * LEAST)))
        if map_.is_narrow:  # between passes, sums would be rounded
            parts = 1
        group = source * parts // read.channels
        found = []
        for part in range(parts):
            members = np.flatnonzero(group == part)
            # Stable: a channel's weights keep the order of the parameter. The order of additions decides the last bits.
            order = members[np.argsort(target[members], kind="stable")]
            first = np.searchsorted(target[order], np.arange(channels + 1))
            found.append(Pass(first.astype(np.int64), order, offset[order]))
        return found


def _gather_of(out: Map) -> Callable[..., None]:
    gather: Callable[..., None] = kernels.gather_narrow if out.is_narrow else kernels.gather
    return gather


def sparse_conv(mask: Any, window: Window, groups: int) -> SparseConv:
    """The layer of a bool *mask* [out, in / groups, *kernel]."""
    out, into, down, right = (index.astype(np.int64) for index in np.nonzero(mask))
    channels_out, per_group = mask.shape[:2]
    channels_in = per_group * groups
    # A mask counts input channels within a group, the kernels count them over all groups.
    into += out // (channels_out // groups) * per_group
    # Dilation becomes part of the taps and stride part of the channels, so that the kernels need to know neither.
    down, right = down * window.dilation[0], right * window.dilation[1]
    sh, sw = window.stride
    into += window.numbers[down % sh, right % sw] * channels_in
    return SparseConv(channels_in, channels_out, window, out, into, down // sh, right // sw)
