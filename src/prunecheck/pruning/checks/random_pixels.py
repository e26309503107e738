"""Random pixels (Zhang et al. 2017; Su et al. 2020): all values of each image permuted, each image on its own.

Channels mix, as in the official code: the permutation runs over all C * H * W values. It is applied once to the
stored images, before augmentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


def scrambled(inputs: Tensor, rng: Rng) -> Tensor:
    """Each sample's values in an order of their own; the same multiset of values per sample."""
    import torch

    flat = inputs.reshape(len(inputs), -1).numpy()
    return torch.from_numpy(rng.permuted(flat, axis=1)).reshape(inputs.shape)


@check(
    at="batches",
    destroys="the spatial structure of the images the method prunes from",
    keeps="each image's histogram, the labels, everything the ticket trains on",
    paper="Su et al. 2020",
    aliases=("pixels",),
)
def random_pixels(batches: tuple[Tensor, Tensor], rng: Rng) -> tuple[Tensor, Tensor]:
    """Prune (and pretrain) on images whose pixels are scrambled, each image differently."""
    inputs, targets = batches
    return scrambled(inputs, rng), targets
