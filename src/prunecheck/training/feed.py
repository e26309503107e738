"""Images to batches. Order and augmentation come from the study's own streams, one per epoch: an epoch's batches are a
pure function of (seed, phase, epoch).

``Feed`` holds images in memory: one padded uint8 table in channels-last order, gathered by row. A pixel (all its
channels) is one row of the table, so a random crop and flip of a whole batch is one ``index_select``; the result is
channels-last without a copy. Images that stay on the disk are in ``stream_feed``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunecheck.pruning.seeds import stream
from prunecheck.training.recipe import Recipe

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

Rows = slice | Tensor
"""positions of a batch in the order of an epoch: a slice, or int64 [B] on the feed's device"""


@dataclass(frozen=True)
class Boxes:
    """Random resized crops of one epoch: shares of the area and width/height, and what the streams are named by."""

    scale: tuple[float, float]
    ratio: tuple[float, float]
    seed: int
    phase: str
    epoch: int

    def stream(self, sample: int) -> Rng:
        """What the box of *sample* is drawn from."""
        return stream(self.seed, self.phase, "box", self.epoch, sample)


@dataclass(frozen=True)
class Draws:
    """Order and augmentation of one epoch, on the feed's device: one entry for each sample, in the order of training.

    ``order``: indices of samples; ``down``, ``right``: the corner of the crop in pixels; all int64 [N]. ``flips``: bool
    [N], True = mirrored; None where the recipe mirrors nothing. ``boxes``: what the boxes of random resized crops are
    drawn from; None where images are cropped by their corner alone.
    """

    order: Tensor
    down: Tensor
    right: Tensor
    flips: Tensor | None
    boxes: Boxes | None = None


class AnyFeed(ABC):
    """``samples`` images ``[channels, height, width]``, ``targets`` on a device. ``pad``: pixels of zero padding."""

    samples: int
    channels: int
    height: int
    width: int
    pad: int
    targets: Tensor

    @abstractmethod
    def drawn(self, draws: Draws, rows: Rows) -> tuple[Tensor, Tensor]:
        """The augmented batch at *rows* of an epoch."""

    @abstractmethod
    def select(self, samples: np.ndarray) -> tuple[Tensor, Tensor]:
        """Chosen samples, centred, without augmentation."""

    def draws(self, recipe: Recipe, seed: int, phase: str, epoch: int, *, shuffle: bool = True) -> Draws:
        """What is drawn for one epoch; without *shuffle* in the order in which the images are stored."""
        device = self.targets.device
        drawn = stream(seed, phase, "order", epoch).permutation(self.samples) if shuffle else np.arange(self.samples)
        drawn = self.ordered(drawn, stream(seed, phase, "blocks", epoch)) if shuffle else drawn
        order = torch.from_numpy(drawn).to(device)
        # Drawn for the whole epoch at once, so that the numbers do not depend on the batch size.
        augment = stream(seed, phase, "augment", epoch)
        down, right = (
            torch.from_numpy(augment.integers(0, 2 * self.pad + 1, self.samples)).to(device) for _ in range(2)
        )
        flips = None
        if recipe.flip == "alternating":
            # One draw for all epochs of the phase: what is mirrored in one epoch is not in the next.
            begins = stream(seed, phase, "alternating flip").random(self.samples) < 0.5
            flips = torch.from_numpy((begins ^ (epoch % 2 == 1))[drawn]).to(device)
        elif recipe.flip:
            flips = torch.from_numpy(augment.random(self.samples) < 0.5).to(device)
        boxes = None if recipe.crop == "padded" else Boxes(recipe.scale, recipe.ratio, seed, phase, epoch)
        return Draws(order, down, right, flips, boxes)

    def ordered(self, drawn: np.ndarray, rng: Rng) -> np.ndarray:  # noqa: ARG002
        """The drawn order of an epoch, perhaps changed for the sake of how images are read."""
        return drawn

    def epoch(
        self, recipe: Recipe, seed: int, phase: str, epoch: int, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The augmented batches of one epoch; without *shuffle* in the order in which the images are stored."""
        draws = self.draws(recipe, seed, phase, epoch, shuffle=shuffle)
        for rows in recipe.batches(self.samples):
            yield self.drawn(draws, rows)

    def plain(self, size: int = 500, part: tuple[int, int] = (0, 1)) -> Iterator[tuple[Tensor, Tensor]]:
        """All samples in order, centred, without augmentation. ``part``: (k, n) for every n-th batch from the k-th."""
        first, every = part
        size = min(size, math.ceil(self.samples / every))
        for start in range(first * size, self.samples, every * size):
            yield self.select(np.arange(start, min(start + size, self.samples)))


class Feed(AnyFeed):
    """Images and targets on a device. ``inputs``: uint8 [N, C, H, W]; ``mean``/``std``: per channel, in units of 1."""

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        pad: int = 0,
        device: str = "cpu",
    ) -> None:
        self.samples, self.channels, self.height, self.width = inputs.shape
        self.pad = pad
        self.targets = targets.to(device)
        self._rows, self._columns = self.height + 2 * pad, self.width + 2 * pad
        # uint8: a quarter of the memory of float32; only the rows of a batch are converted.
        table = torch.zeros((self.samples, self._rows, self._columns, self.channels), dtype=torch.uint8)
        table[:, pad : pad + self.height, pad : pad + self.width] = inputs.permute(0, 2, 3, 1)
        self._table = table.reshape(-1, self.channels).to(device)
        # Division by 255, mean and standard deviation as one multiplication and one addition.
        self._scale = torch.tensor([1 / (255 * s) for s in std], device=device)
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device)
        row = torch.arange(self.height).reshape(1, -1, 1) * self._columns
        column = torch.arange(self.width).reshape(1, 1, -1)
        self._straight = (row + column).to(device)
        self._mirrored = (row + column.flip(2)).to(device)

    def batch(self, samples: Tensor, down: Tensor, right: Tensor, flips: Tensor | None) -> tuple[Tensor, Tensor]:
        """Samples (indices [B]) cropped at (down, right) of the padded image, mirrored where *flips* is True."""
        corner = (samples * self._rows + down) * self._columns + right
        grid = self._straight if flips is None else torch.where(flips.reshape(-1, 1, 1), self._mirrored, self._straight)
        index = (corner.reshape(-1, 1, 1) + grid).reshape(-1)
        pixels = self._table.index_select(0, index).to(torch.float32)
        pixels.mul_(self._scale).add_(self._shift)
        images = pixels.reshape(len(samples), self.height, self.width, self.channels).permute(0, 3, 1, 2)
        return images, self.targets.index_select(0, samples)

    def drawn(self, draws: Draws, rows: Rows) -> tuple[Tensor, Tensor]:
        """The augmented batch at *rows* of an epoch."""
        flips = None if draws.flips is None else draws.flips[rows]
        return self.batch(draws.order[rows], draws.down[rows], draws.right[rows], flips)

    def select(self, samples: np.ndarray) -> tuple[Tensor, Tensor]:
        """Chosen samples, centred, without augmentation."""
        index = torch.from_numpy(samples).to(self.targets.device)
        middle = torch.full_like(index, self.pad)
        return self.batch(index, middle, middle, None)
