"""Random labels (Zhang et al. 2017; Su et al. 2020): every label redrawn uniformly over the classes.

About 1 in C labels stays right by chance. Redrawn for every seed; the official code shares one draw
(``numpy.random.seed(12345)``) between all runs, which makes the runs dependent. ``labels_seed = 12345`` gives that
draw; the preset ``official`` sets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


def redrawn(targets: Tensor, classes: int, rng: Rng, labels_seed: int | None = None) -> Tensor:
    """Labels of the same shape, independent and uniform over 0..classes-1. ``labels_seed``: the draw of the official
    code (numpy's old generator; one uniform number a label is drawn first, to choose those to be corrupted: all)."""
    import numpy as np
    import torch

    if labels_seed is not None:
        old = np.random.RandomState(labels_seed)
        old.rand(len(targets))
        return torch.from_numpy(old.choice(classes, len(targets)).astype(np.int64))
    return torch.from_numpy(rng.integers(0, classes, size=tuple(targets.shape)))


@check(
    at="batches",
    destroys="the relation between images and labels the method prunes from",
    keeps="the images, the number of classes, everything the ticket trains on",
    paper="Su et al. 2020",
    aliases=("labels",),
)
def random_labels(
    batches: tuple[Tensor, Tensor], classes: int, rng: Rng, labels_seed: int | None = None
) -> tuple[Tensor, Tensor]:
    """Prune (and pretrain) on uniformly random labels."""
    inputs, targets = batches
    return inputs, redrawn(targets, classes, rng, labels_seed)
