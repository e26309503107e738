"""The operations on maps: each with a forward and a backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck.training.sparse import fold, kernels, norm, pool
from prunecheck.training.sparse.conv import NONE, SparseConv
from prunecheck.training.sparse.fold import Window
from prunecheck.training.sparse.maps import Map, Shape
from prunecheck.training.sparse.tape import State

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True)
class Pack:
    """A tensor [images, channels, height, width] or [images, channels] becomes a map."""

    source: int
    output: int
    border: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,)

    def forward(self, state: State) -> None:
        tensor = state.values[self.source]
        image = tensor if tensor.ndim == 4 else tensor[:, :, None, None]
        state.values[self.output] = state.pool.pack(image, self.border)

    def backward(self, state: State) -> None:
        gradient: Map = state.gradients.pop(self.output)
        if self.source in state.wanted:
            source = state.values[self.source]
            state.add_gradient(self.source, _channels_last(gradient.nchw()).reshape(source.shape).to(source.dtype))
        state.pool.give(gradient)


@dataclass(frozen=True)
class Unpack:
    """A map becomes a tensor of 4 dimensions, or of 2 where it is ``flat``."""

    source: int
    output: int
    flat: bool

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,)

    def forward(self, state: State) -> None:
        image = _channels_last(state.map(self.source).nchw())
        state.values[self.output] = image[:, :, 0, 0] if self.flat else image

    def backward(self, state: State) -> None:
        gradient = state.gradients.pop(self.output)
        image = gradient[:, :, None, None] if self.flat else gradient
        state.hand_on(self.source, state.pool.pack(image, state.map(self.source).shape.border))


def _channels_last(image: Tensor) -> Tensor:
    # A new tensor: a view would change as soon as the pool gives the buffer to another value.
    return torch.empty(image.shape, dtype=image.dtype, memory_format=torch.channels_last).copy_(image)


@dataclass(frozen=True)
class Conv:
    """A sparse convolution or linear layer. ``weight``, ``bias``: numbers of its parameters."""

    source: int
    output: int
    layer: SparseConv
    weight: int
    bias: int | None
    border: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,)

    def forward(self, state: State) -> None:
        x = state.map(self.source)
        height, width = self.layer.window.output(x.shape.height, x.shape.width)
        y = state.new(self.output, Shape(self.layer.channels_out, height, width, x.shape.images, self.border))
        base = NONE if self.bias is None else state.parameters[self.bias].detach().numpy()
        read = self.layer.forward(x, y, state.parameters[self.weight].detach().numpy(), base, state.pool)
        if state.keep:
            state.saved[self.output] = read
        # Where the window folds, *read* is a copy from the pool; else it is the input itself, which is still in use.
        elif read is not x:
            state.pool.give(read)

    def backward(self, state: State) -> None:
        gradient: Map = state.gradients.pop(self.output)
        read: Map = state.saved.pop(self.output)
        slope, base = self.layer.slopes(gradient, read, self.bias is not None)
        # float64 sums, rounded once: parameters are float32.
        state.add_slope(self.weight, torch.from_numpy(slope.astype(np.float32)))
        if self.bias is not None:
            state.add_slope(self.bias, torch.from_numpy(base.astype(np.float32)))
        if read is not state.map(self.source):
            state.pool.give(read)
        if self.source in state.wanted:
            into, add = state.room(self.source)
            value = state.parameters[self.weight].detach().numpy()
            self.layer.backward(gradient, into, value, add, state.pool)
        state.pool.give(gradient)


@dataclass(frozen=True)
class Normalise:
    """Batch norm, plus ``other`` where there is one, then ReLU where asked for. ``gain``, ``offset``: parameters."""

    source: int
    other: int | None
    output: int
    module: Norm
    gain: int | None
    offset: int | None
    relu: bool

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,) if self.other is None else (self.source, self.other)

    def forward(self, state: State) -> None:
        z = state.map(self.source)
        s = z.shape
        y = state.new(self.output, s)
        other = z.array[:0] if self.other is None else state.map(self.other).array
        gain, offset = self._affine(state, s.channels)
        if of_batch := self._of_batch():
            # torch refuses this too: a single number has no variance.
            _at_least_two(s)
            mean, variance = np.empty(s.channels), np.empty(s.channels)
        else:
            mean, variance = _doubles(self.module.running_mean), _doubles(self.module.running_var)
        norm.normalise(
            z.array, y.array, other, s.at, s.plane, s.row, s.height, s.length, gain, offset, self.module.eps, mean,
            variance, of_batch, self.relu,
        )  # fmt: skip
        if self.module.training:
            follow(self.module, mean, variance, s.height * s.length)
        if state.keep:
            state.saved[self.output] = mean, 1 / np.sqrt(variance + self.module.eps)

    def backward(self, state: State) -> None:
        g: Map = state.gradients.pop(self.output)
        mean, inverse = state.saved.pop(self.output)
        z = state.map(self.source)
        s = z.shape
        y = state.values.pop(self.output)
        # ReLU's gradient is known from the input, unless something was added to it: then the output is needed.
        summed = z.array[:0] if self.other is None else y.array
        passes_on = self.other is not None and self.other in state.wanted
        # both outlive this operation, the output does not: its buffer is in the cache and free
        d = y if passes_on else g
        gain, offset = self._affine(state, s.channels)
        slopes = np.empty(s.channels), np.empty(s.channels)
        norm.normalise_back(
            g.array, z.array, summed, d.array if passes_on else z.array[:0], s.at, s.plane, s.row, s.height, s.length,
            gain, offset, mean, inverse, *slopes, self.relu, self._of_batch(),
        )  # fmt: skip
        for parameter, slope in zip((self.gain, self.offset), slopes, strict=True):
            if parameter is not None:
                state.add_slope(parameter, torch.from_numpy(slope.astype(np.float32)))
        if passes_on:
            assert self.other is not None
            state.hand_on(self.other, g)
        else:
            state.pool.give(y)
        state.hand_on(self.source, d)

    def _of_batch(self) -> bool:
        # Without running statistics, evaluation too uses those of the batch.
        return self.module.training or self.module.running_mean is None

    def _affine(self, state: State, channels: int) -> tuple[Any, Any]:
        gain = np.ones(channels) if self.gain is None else _doubles(state.parameters[self.gain])
        offset = np.zeros(channels) if self.offset is None else _doubles(state.parameters[self.offset])
        return gain, offset


def _doubles(tensor: Tensor | None) -> Any:
    assert tensor is not None
    # Slope and shift of a channel are worked out in float64 and rounded once.
    return tensor.detach().numpy().astype(np.float64)


def _at_least_two(shape: Shape) -> None:
    if shape.height * shape.length == 1:
        raise ValueError("Expected more than 1 value per channel when training")


def follow(module: Norm, mean: Any, variance: Any, count: int) -> None:
    """Move the running statistics as torch does: the unbiased variance, and a plain average without momentum."""
    if not module.track_running_stats or module.running_mean is None or module.running_var is None:
        return
    if module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
    share = module.momentum if module.momentum is not None else 1 / float(module.num_batches_tracked or 1)
    for running, found in ((module.running_mean, mean), (module.running_var, variance * count / max(count - 1, 1))):
        numbers = running.numpy()
        numbers[:] = (1 - share) * numbers + share * found


@dataclass(frozen=True)
class Join:
    """The sum of two maps, or one alone, then ReLU where asked for."""

    source: int
    other: int | None
    output: int
    relu: bool

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,) if self.other is None else (self.source, self.other)

    def forward(self, state: State) -> None:
        z = state.map(self.source)
        s = z.shape
        y = state.new(self.output, s)
        other = z.array[:0] if self.other is None else state.map(self.other).array
        norm.join(z.array, y.array, other, s.at, s.plane, s.row, s.channels, s.height, s.length, self.relu)

    def backward(self, state: State) -> None:
        g: Map = state.gradients.pop(self.output)
        y = state.map(self.output)
        s = y.shape
        if self.relu:
            norm.mask(g.array, y.array, s.at, s.plane, s.row, s.channels, s.height, s.length)
        if self.other is not None and self.other in state.wanted:
            # Two values may not share a buffer: each gradient is added to and given back on its own.
            copy = state.pool.take(s)
            copy.flat.copy_(g.flat)
            state.hand_on(self.other, copy)
        state.hand_on(self.source, g)


@dataclass(frozen=True)
class MaxPool:
    """``window`` without dilation."""

    source: int
    output: int
    window: Window

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,)

    def forward(self, state: State) -> None:
        x = state.map(self.source)
        s = x.shape
        height, width = self.window.output(s.height, s.width)
        t = Shape(s.channels, height, width, s.images, s.border)
        y = state.new(self.output, t)
        pool.max_pool(
            x.array, s.at, s.plane, s.row, s.height, s.width, y.array, t.at, t.plane, t.row, t.height, t.width,
            self._sides(), t.channels, t.images,
        )  # fmt: skip

    def backward(self, state: State) -> None:
        g: Map = state.gradients.pop(self.output)
        if self.source in state.wanted:
            into, add = state.room(self.source)
            # The loop below adds, because windows may overlap.
            if not add:
                into.flat.zero_()
            s, t = into.shape, g.shape
            pool.max_pool_back(
                g.array, state.map(self.output).array, t.at, t.plane, t.row, t.height, t.width, into.array,
                state.map(self.source).array, s.at, s.plane, s.row, s.height, s.width, self._sides(), t.channels,
                t.images,
            )  # fmt: skip
        state.pool.give(g)

    def _sides(self) -> Any:
        return np.array([*self.window.kernel, *self.window.stride, *self.window.padding], np.int64)


@dataclass(frozen=True)
class Mean:
    """The average of every channel: a tensor [images, channels, 1, 1]."""

    source: int
    output: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.source,)

    def forward(self, state: State) -> None:
        x = state.map(self.source)
        s = x.shape
        means = torch.empty(s.channels, s.images)
        pool.mean(x.array, s.at, s.plane, s.row, s.height, s.width, means.numpy())
        state.values[self.output] = means.t().contiguous()[:, :, None, None]

    def backward(self, state: State) -> None:
        gradient = state.gradients.pop(self.output)
        shape = state.map(self.source).shape
        spread = state.pool.take(shape)
        spread.nchw().copy_(gradient / (shape.height * shape.width))
        state.hand_on(self.source, spread)


def warm() -> None:
    """Compile every loop, or load it from disk."""
    for stored in (np.float32, np.uint16):
        a, none, numbers = np.zeros(64, stored), np.zeros(0, stored), np.zeros(64, np.float32)
        double, first, offset = np.ones(1), np.array([0, 1]), np.zeros(1, np.int64)
        sides = np.array([1, 1, 1, 1, 0, 0])
        gather = kernels.gather if stored is np.float32 else kernels.gather_narrow
        gather(a, 0, 1, 1, 1, 1, a, 1, first, offset, numbers, NONE, False)
        kernels.dots(double, a, 0, 1, 1, 1, 1, a, 1, first, offset, double)
        norm.normalise(a, a, none, 0, 1, 1, 1, 1, double, double, 0.1, double, double, True, True)
        norm.normalise_back(a, a, a, a, 0, 1, 1, 1, 1, double, double, double, double, double, double, True, True)
        norm.join(a, a, none, 0, 1, 1, 1, 1, 1, True)
        norm.mask(a, a, 0, 1, 1, 1, 1, 1)
        pool.max_pool(a, 0, 1, 1, 1, 1, a, 0, 1, 1, 1, 1, sides, 1, 1)
        pool.max_pool_back(a, a, 0, 1, 1, 1, 1, a, a, 0, 1, 1, 1, 1, sides, 1, 1)
        pool.mean(a, 0, 1, 1, 1, 1, numbers[None, :1])
        fold.warm(stored)
