"""Checks of the data a method prunes (and pretrains) from: labels, pixels, half of the images (Su et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import PluginError
from prunecheck.pruning.built_in import check

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
    """Prune (and pretrain) on uniformly random labels.

    Every label is redrawn uniformly over the classes (Zhang et al. 2017), so about 1 in C stays right by chance.
    Redrawn for every seed; the official code shares one draw (``numpy.random.seed(12345)``) between all runs, which
    makes the runs dependent. ``labels_seed = 12345`` gives that draw; the preset ``official`` sets it.
    """
    inputs, targets = batches
    return inputs, redrawn(targets, classes, rng, labels_seed)


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
    """Prune (and pretrain) on images whose pixels are scrambled, each image differently.

    All values of each image are permuted, each image on its own (Zhang et al. 2017). Channels mix, as in the official
    code: the permutation runs over all C * H * W values. It is applied once to the stored images, before augmentation.
    """
    inputs, targets = batches
    return scrambled(inputs, rng), targets


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


@check(
    at="batches",
    destroys="half of the images the method prunes from",
    keeps="the other half, class balance, the number of steps, everything the ticket trains on",
    orders=True,
    paper="Su et al. 2020",
    aliases=("half",),
)
def half_dataset(
    batches: tuple[Tensor, Tensor],
    rng: Rng,
    which: str = "random",
    matched_steps: bool = True,
    batch: int | None = None,
    shuffle: bool | None = None,  # noqa: ARG001  (``orders``: it is for the trainings)
) -> tuple[Tensor, Tensor]:
    """Prune (and pretrain) on half of the training set, at an unchanged number of steps.

    The default answers one question, whether the other half mattered: a random half, balanced over the classes, each
    image used twice in an epoch so that the number of steps stays what it was.

    The official code (baseline.py, ``--max_batch_idx 390``) changes three things at once: the *first* half, never
    shuffled, in half as many steps, of whole batches only. ``which = "first", matched_steps = false, batch = 64,
    shuffle = false`` is that: 24,960 images of CIFAR-10. ``batch``: leave out what does not fill a batch of this size.
    ``shuffle = false``: trainings on the half see the images in their stored order in every epoch.
    """
    import torch

    if which not in ("random", "first"):
        raise PluginError(f"half_dataset: which = {which!r} must be 'random' or 'first'.")
    if batch is not None and (which != "first" or matched_steps or batch < 1):
        raise PluginError('half_dataset: batch needs which = "first", matched_steps = false and a positive number.')
    inputs, targets = batches
    if which == "first":
        chosen = torch.arange((len(targets) + 1) // 2)
        if batch is not None:
            chosen = chosen[: len(chosen) // batch * batch]
            if not len(chosen):
                raise PluginError(f"half_dataset: batch = {batch} is more than half of the {len(targets)} images.")
    else:
        order = torch.from_numpy(rng.permutation(len(targets)))
        by_class = order[torch.argsort(targets[order], stable=True)]
        chosen = by_class[::2].sort().values
    if matched_steps:
        chosen = chosen.repeat(2)[: len(targets)]
    return inputs[chosen], targets[chosen]
