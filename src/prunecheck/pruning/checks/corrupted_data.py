"""Corrupted data (Su et al. 2020): random labels and random pixels together, the paper's own data check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check
from prunecheck.pruning.checks.random_labels import redrawn
from prunecheck.pruning.checks.random_pixels import scrambled

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="batches",
    destroys="everything the data could tell: labels and spatial structure",
    keeps="each image's histogram, the number of classes, everything the ticket trains on",
    paper="Su et al. 2020",
    aliases=("corrupt_data", "corrupted"),
)
def corrupted_data(
    batches: tuple[Tensor, Tensor], classes: int, rng: Rng, labels_seed: int | None = None
) -> tuple[Tensor, Tensor]:
    """Prune (and pretrain) on scrambled images with random labels."""
    inputs, targets = batches
    return scrambled(inputs, rng), redrawn(targets, classes, rng, labels_seed)
