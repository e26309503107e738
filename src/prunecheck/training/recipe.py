"""Training recipes: schedule, optimiser and augmentation. Without torch, because plans use them.

``cifar`` and ``tiny_imagenet`` are the settings of the official code of Su et al. 2020 (SGD, momentum 0.9, 0.1 times
0.1 at 1/2 and 3/4, weight decay 1e-4 on every parameter, batch 64, pad-4 crop and flip); ``short`` trains a small
network on a CPU in seconds.

``fast`` takes a fifth of the epochs of ``cifar``. Its ingredients are those of Jordan, "94% on CIFAR-10 in 3.29 seconds
on a single GPU" (arXiv 2404.00498; github.com/KellerJordan/cifar10-airbench): a triangular learning rate, Nesterov
momentum, label smoothing, alternating flip and small translations. Not taken over: whitening of the first layer, since
initial weights here know no data; larger rates for the biases of batch norm; averaging of weights; padding by
reflection; augmentation of test images.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

ADDED = ("peak", "lr_start", "lr_end", "label_smoothing", "crop", "scale", "ratio")
"""fields newer than keys that are in use: left out of a recipe's dictionary where they are at their defaults"""


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum. ``drops``: fractions of the epochs at which the learning rate is multiplied by ``gamma``
    (schedule ``step``); ``linear`` falls to 0 after ``warmup`` epochs of rising; ``triangular`` rises on a straight
    line from ``lr_start`` times ``lr`` to ``lr``, which it reaches at the fraction ``peak`` of the epochs, and falls on
    another to ``lr_end`` times ``lr``. ``pad``: pixels of zero padding for random crops, 0 for none. ``flip``: mirror
    each image with probability 1/2 in every epoch, or (``alternating``) in every other epoch, half of the images
    beginning with the first. ``label_smoothing``: the share of every target that is spread evenly over all classes, in
    [0, 1). ``crop``: ``padded`` for a random window of the padded image; ``resized`` for a random box with a share of
    the area in ``scale`` and a width/height in ``ratio``, resized to the size of the data set, which is streamed.
    ``rewind_epoch``: k of weight and learning-rate rewinding, in finished epochs."""

    epochs: int = 160
    batch_size: int = 64
    lr: float = 0.1
    schedule: Literal["step", "linear", "triangular"] = "step"
    drops: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    warmup: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    pad: int = 4
    flip: bool | Literal["alternating"] = True
    rewind_epoch: int = 40
    peak: float = 0.25
    lr_start: float = 0.2
    lr_end: float = 0.0
    label_smoothing: float = 0.0
    crop: Literal["padded", "resized"] = "padded"
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def lr_at(self, epoch: int, step: int, steps: int) -> float:
        """Learning rate of one step (0-based) of one epoch (0-based) that has *steps* steps."""
        now = epoch + step / steps
        if self.schedule == "step":
            passed = sum(epoch >= round(drop * self.epochs) for drop in self.drops)
            return self.lr * self.gamma**passed * self._rise(now)
        if self.schedule == "triangular":
            return self.lr * self._triangle(now / self.epochs)
        left = (self.epochs - now) / max(self.epochs - self.warmup, 1e-9)
        return self.lr * min(self._rise(now), max(0.0, left))

    def _rise(self, now: float) -> float:
        return min(1.0, (now + 1e-3) / self.warmup) if self.warmup > 0 else 1.0

    def _triangle(self, done: float) -> float:
        """The factor of ``lr`` once the fraction *done* of the training is over."""
        if done < self.peak:
            return self.lr_start + (1 - self.lr_start) * done / self.peak
        left = (1 - done) / max(1 - self.peak, 1e-9)
        return self.lr_end + (1 - self.lr_end) * left

    def steps_per_epoch(self, samples: int) -> int:
        """A last batch of a single sample joins the one before it (batch normalisation needs two)."""
        steps = math.ceil(samples / self.batch_size)
        return steps - 1 if steps > 1 and samples % self.batch_size == 1 else steps

    def batches(self, samples: int) -> list[slice]:
        """The positions of every batch in the order of an epoch."""
        steps, size = self.steps_per_epoch(samples), self.batch_size
        starts = range(0, steps * size, size)
        return [slice(start, samples if step == steps - 1 else start + size) for step, start in enumerate(starts)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, part of the keys of trainings."""
        default = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name not in ADDED or value != default[name]}


def recipe_from(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.to_dict` wrote."""
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list | tuple)}
    return Recipe(**{**values, **lists})


RECIPES: dict[str, Recipe] = {
    "cifar": Recipe(),
    "tiny_imagenet": Recipe(epochs=300, rewind_epoch=75),
    "fast": Recipe(
        epochs=32,
        batch_size=128,
        lr=0.2,
        schedule="triangular",
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        pad=2,
        flip="alternating",
        rewind_epoch=8,
        label_smoothing=0.1,
    ),
    "short": Recipe(epochs=6, batch_size=64, pad=0, flip=False, rewind_epoch=2),
}


def usual_recipe(data: str) -> str:
    """The default recipe of a data set."""
    return {"cifar10": "cifar", "cifar100": "cifar", "tiny_imagenet": "tiny_imagenet"}.get(data, "short")
