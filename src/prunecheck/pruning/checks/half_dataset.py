"""Half dataset (Su et al. 2020): prune and pretrain on half of the training images.

The default answers one question only, whether the other half mattered: a random half, balanced over the classes, each
image shown twice an epoch so that the number of steps stays what it was. The official code changes three things at
once (always the *first* half, never shuffled, half as many steps); ``which = "first", matched_steps = false`` gives
its first and third.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import PluginError
from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="batches",
    destroys="half of the images the method prunes from",
    keeps="the other half, class balance, the number of steps, everything the ticket trains on",
    paper="Su et al. 2020",
    aliases=("half",),
)
def half_dataset(
    batches: tuple[Tensor, Tensor], rng: Rng, which: str = "random", matched_steps: bool = True
) -> tuple[Tensor, Tensor]:
    """Prune (and pretrain) on half of the training set, at an unchanged number of steps."""
    import torch

    if which not in ("random", "first"):
        raise PluginError(f"half_dataset: which = {which!r} must be 'random' or 'first'.")
    inputs, targets = batches
    if which == "first":
        chosen = torch.arange((len(targets) + 1) // 2)
    else:
        order = torch.from_numpy(rng.permutation(len(targets)))
        by_class = order[torch.argsort(targets[order], stable=True)]
        chosen = by_class[::2].sort().values
    if matched_steps:
        chosen = chosen.repeat(2)[: len(targets)]
    return inputs[chosen], targets[chosen]
