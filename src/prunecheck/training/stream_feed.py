"""Images from the disk to batches: decoded and cropped by threads while the step before computes.

What an image becomes is a pure function of its bytes and of streams named by (seed, phase, epoch, sample), so neither
the number of threads nor the order in which they finish changes a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunecheck.data.crops import center_cropped, randomly_cropped
from prunecheck.data.encoded import BLOCKS_AT_ONCE, EncodedImages, in_blocks
from prunecheck.data.images import decode
from prunecheck.data.types import Images
from prunecheck.training.feed import AnyFeed, Draws, Rows

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

BATCHES_AHEAD = 2

Change = Callable[[Images, int], Images]
"""(image [C, H, W], its number in the clean data set) -> what a check makes of it; called from any thread"""


class StreamFeed(AnyFeed):
    """Images of ``size`` pixels a side, decoded by *pool*. ``mean``/``std``: per channel, in units of 1.

    ``center_crop``: share of the shorter side that is kept without a random resized crop. ``positions``: which image
    stands for each sample, int64 [N]; ``targets``: its target; both None for the images as they are. ``change``: what
    is done to each image after it has its size, before it is padded and mirrored.
    """

    def __init__(
        self,
        images: EncodedImages,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        size: int,
        center_crop: float,
        pool: ThreadPoolExecutor,
        pad: int = 0,
        device: str = "cpu",
        positions: np.ndarray | None = None,
        targets: Tensor | None = None,
        change: Change | None = None,
    ) -> None:
        self.channels, self.height, self.width, self.pad = 3, size, size, pad
        self._images, self._center_crop, self._change = images, center_crop, change
        self._pool, self._device = pool, device
        self._positions = np.arange(len(images.targets)) if positions is None else positions
        self.samples = len(self._positions)
        self.targets = (torch.from_numpy(images.targets) if targets is None else targets).to(device)
        self._scale = torch.tensor([1 / (255 * s) for s in std], device=device)
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device)
        self._ahead: dict[int, Future[Images]] = {}
        """place in the epoch of ``_draws`` -> its image, being decoded"""
        self._draws: Draws | None = None

    def draws(self, *args: object, **kwargs: object) -> Draws:
        """On the CPU, where images are decoded."""
        drawn = super().draws(*args, **kwargs)  # type: ignore[arg-type]
        flips = None if drawn.flips is None else drawn.flips.cpu()
        return Draws(drawn.order.cpu(), drawn.down.cpu(), drawn.right.cpu(), flips, drawn.boxes)

    def ordered(self, drawn: np.ndarray, rng: Rng) -> np.ndarray:
        """Images that are read in blocks are mixed within a few blocks at a time, which follow each other at random."""
        if self._images.blocks is None:
            return drawn
        blocks = self._images.blocks[self._positions]
        return in_blocks(drawn, blocks, rng.permutation(int(self._images.blocks.max()) + 1), BLOCKS_AT_ONCE)

    def drawn(self, draws: Draws, rows: Rows) -> tuple[Tensor, Tensor]:
        """The augmented batch at *rows* of an epoch. The batches after it are begun."""
        if draws is not self._draws:
            self._draws, self._ahead = draws, {}
        places = range(rows.start, rows.stop) if isinstance(rows, slice) else rows.tolist()
        self._begin(draws, places)
        images = [self._ahead.pop(place) for place in places]
        if isinstance(rows, slice):
            self._begin(draws, range(rows.stop, min(rows.stop + BATCHES_AHEAD * len(places), self.samples)))
        return self._normalised(images), self.targets[draws.order[torch.as_tensor(places)].to(self.targets.device)]

    def select(self, samples: np.ndarray) -> tuple[Tensor, Tensor]:
        """Chosen samples, centred, without augmentation."""
        # in the order in which they are stored: some are read in blocks
        order = np.argsort(self._positions[samples], kind="stable")
        begun = {place: self._pool.submit(self._centred, int(samples[place])) for place in order.tolist()}
        images = self._normalised([begun[place] for place in range(len(samples))])
        return images, self.targets[torch.from_numpy(samples).to(self.targets.device)]

    def _begin(self, draws: Draws, places: Sequence[int]) -> None:
        for place in places:
            if place not in self._ahead:
                self._ahead[place] = self._pool.submit(self._augmented, draws, place)

    def _normalised(self, images: Sequence[Future[Images]]) -> Tensor:
        """float32 [B, C, H, W] in channels-last order, computed as ``Feed`` does."""
        pixels = torch.from_numpy(np.stack([image.result() for image in images]))
        pixels = pixels.to(self._device).to(torch.float32)
        return pixels.mul_(self._scale).add_(self._shift).permute(0, 3, 1, 2)

    def _augmented(self, draws: Draws, place: int) -> Images:
        sample = int(draws.order[place])
        if draws.boxes is not None:
            boxes = draws.boxes
            crop = partial(
                randomly_cropped, size=self.width, rng=boxes.stream(sample), scale=boxes.scale, ratio=boxes.ratio
            )
            image = self._decoded(sample, crop)
        else:
            image = self._centred(sample)
        if self.pad:
            down, right = int(draws.down[place]), int(draws.right[place])
            padded = np.pad(image, ((self.pad, self.pad), (self.pad, self.pad), (0, 0)))
            image = padded[down : down + self.height, right : right + self.width]
        return image[:, ::-1] if draws.flips is not None and bool(draws.flips[place]) else image

    def _centred(self, sample: int) -> Images:
        return self._decoded(sample, partial(center_cropped, size=self.width, share=self._center_crop))

    def _decoded(self, sample: int, crop: Callable[..., object]) -> Images:
        """uint8 [H, W, C]. Raises DataError that names an image which cannot be read."""
        position = int(self._positions[sample])
        image = decode(*self._images.read(position), crop=crop)  # type: ignore[arg-type]
        if self._change is not None:
            image = self._change(image.transpose(2, 0, 1), position).transpose(1, 2, 0)
        return image
