"""Random labels (Zhang et al. 2017; Su et al. 2020): every label redrawn uniformly over the classes.

About 1 in C labels stays right by chance. Redrawn for every seed; the official code shares one draw
(``numpy.random.seed(12345)``) between all runs, which makes the runs dependent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.core.seeds import Rng
from prunecheck.plugins import check

if TYPE_CHECKING:
    from torch import Tensor


def redrawn(targets: Tensor, classes: int, rng: Rng) -> Tensor:
    """Labels of the same shape, independent and uniform over 0..classes-1."""
    import torch

    return torch.from_numpy(rng.integers(0, classes, size=tuple(targets.shape)))


@check(
    at="batches",
    destroys="the relation between images and labels the method prunes from",
    keeps="the images, the number of classes, everything the ticket trains on",
    paper="Su et al. 2020",
    aliases=("labels",),
)
def random_labels(batches: tuple[Tensor, Tensor], classes: int, rng: Rng) -> tuple[Tensor, Tensor]:
    """Prune (and pretrain) on uniformly random labels."""
    inputs, targets = batches
    return inputs, redrawn(targets, classes, rng)
