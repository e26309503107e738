"""Training recipes: schedule, optimiser and augmentation. Without torch, because plans use them.

``cifar`` and ``tiny_imagenet`` are the settings of the official code of Su et al. 2020 (SGD, momentum 0.9, 0.1 times
0.1 at 1/2 and 3/4, weight decay 1e-4 on every parameter, batch 64, pad-4 crop and flip); ``short`` trains a small
network on a CPU in seconds.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum. ``drops``: fractions of the epochs at which the learning rate is multiplied by ``gamma``
    (schedule ``step``); ``linear`` falls to 0 after ``warmup`` epochs of rising. ``pad``: pixels of zero padding for
    random crops, 0 for none. ``rewind_epoch``: k of weight and learning-rate rewinding, in finished epochs."""

    epochs: int = 160
    batch_size: int = 64
    lr: float = 0.1
    schedule: Literal["step", "linear"] = "step"
    drops: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    warmup: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    pad: int = 4
    flip: bool = True
    rewind_epoch: int = 40

    def lr_at(self, epoch: int, step: int, steps: int) -> float:
        """Learning rate of one step (0-based) of one epoch (0-based) that has *steps* steps."""
        if self.schedule == "step":
            passed = sum(epoch >= round(drop * self.epochs) for drop in self.drops)
            return self.lr * self.gamma**passed * self._rise(epoch + step / steps)
        now = epoch + step / steps
        left = (self.epochs - now) / max(self.epochs - self.warmup, 1e-9)
        return self.lr * min(self._rise(now), max(0.0, left))

    def _rise(self, now: float) -> float:
        return min(1.0, (now + 1e-3) / self.warmup) if self.warmup > 0 else 1.0

    def steps_per_epoch(self, samples: int) -> int:
        """A last batch of a single sample joins the one before it (batch normalisation needs two)."""
        steps = math.ceil(samples / self.batch_size)
        return steps - 1 if steps > 1 and samples % self.batch_size == 1 else steps

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def recipe_from(fields: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.to_dict` wrote."""
    return Recipe(**{**fields, "drops": tuple(fields["drops"])})


RECIPES: dict[str, Recipe] = {
    "cifar": Recipe(),
    "tiny_imagenet": Recipe(epochs=300, rewind_epoch=75),
    "short": Recipe(epochs=6, batch_size=64, pad=0, flip=False, rewind_epoch=2),
}


def usual_recipe(data: str) -> str:
    """The default recipe of a data set."""
    return {"cifar10": "cifar", "cifar100": "cifar", "tiny_imagenet": "tiny_imagenet"}.get(data, "short")
