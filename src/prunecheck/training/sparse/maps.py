"""Activations with images innermost: channels x (height + border) x (width + border) x images, the border all zeros.

With the border in place a convolution reads every tap as a plain shifted row; and rows and planes are then not powers
of two apart, which would map them all onto the same few lines of the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """*border*: rows and columns of zeros on each of the four sides. All in elements."""

    channels: int
    height: int
    width: int
    images: int
    border: int = 0

    @property
    def row(self) -> int:
        """From one row to the next."""
        return (self.width + 2 * self.border) * self.images

    @property
    def plane(self) -> int:
        """From one channel to the next."""
        return (self.height + 2 * self.border) * self.row

    @property
    def at(self) -> int:
        """Where row 0 of channel 0 begins."""
        return self.border * (self.row + self.images)

    @property
    def length(self) -> int:
        """Of one row without border."""
        return self.width * self.images


@dataclass(frozen=True)
class Map:
    """One activation or gradient. ``flat``: float32 or bfloat16, contiguous, ``shape.channels * shape.plane``
    long."""

    shape: Shape
    flat: Tensor

    @property
    def is_narrow(self) -> bool:
        """Whether it is held in bfloat16."""
        return self.flat.dtype == torch.bfloat16

    @property
    def array(self) -> Any:
        """The numbers as a numpy array, sharing memory; bfloat16, which numpy does not know, as uint16."""
        if self.is_narrow:
            return self.flat.view(torch.int16).numpy().view(np.uint16)
        return self.flat.numpy()

    def nchw(self) -> Tensor:
        """The same memory as a tensor [images, channels, height, width]."""
        s = self.shape
        return self.flat.as_strided((s.images, s.channels, s.height, s.width), (1, s.plane, s.row, s.images), s.at)


@dataclass(frozen=True)
class Pool:
    """Reusable buffers: allocating memory costs as much as writing it, and so would zeroing the borders.

    Borders are never written. A buffer that is not returned is garbage-collected.
    """

    dtype: torch.dtype = torch.float32
    idle: dict[Shape, list[Tensor]] = field(default_factory=dict)

    def take(self, shape: Shape) -> Map:
        """A map with zeros in its border and undefined values inside."""
        idle = self.idle.get(shape)
        return Map(shape, idle.pop() if idle else torch.zeros(shape.channels * shape.plane, dtype=self.dtype))

    def give(self, map_: Map) -> None:
        self.idle.setdefault(map_.shape, []).append(map_.flat)

    def pack(self, tensor: Tensor, border: int) -> Map:
        """A copy of *tensor* [images, channels, height, width]."""
        images, channels, height, width = tensor.shape
        packed = self.take(Shape(channels, height, width, images, border))
        packed.nchw().copy_(tensor)
        return packed
