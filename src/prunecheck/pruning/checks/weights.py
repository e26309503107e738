"""Checks of the start weights under a mask that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="weights",
    preserves="values",
    destroys="which kept position holds which value",
    keeps="the mask, and the multiset of kept values of every layer",
    paper="Su et al. 2020",
    aliases=("weight_shuffle", "shuffle_weights"),
)
def layerwise_weight_shuffle(weights: dict[str, Tensor], masks: dict[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """Keep the mask, permute the kept weights inside each layer."""
    shuffled = {}
    for name, weight in weights.items():
        mask = masks[name]
        kept = weight[mask]
        moved = weight.clone()
        moved[mask] = kept[rng.permutation(len(kept))]
        shuffled[name] = moved
    return shuffled


@check(
    at="weights",
    preserves="magnitudes",
    destroys="which kept weight has which sign",
    keeps="the mask, every weight's magnitude, the number of negative signs of every layer",
    paper="Gadhikar & Burkholz 2024",
    aliases=("signs",),
)
def sign_shuffle(weights: dict[str, Tensor], masks: dict[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """Keep mask and magnitudes, permute the signs of the kept weights inside each layer.

    After Zhou et al. 2019. Weight shuffling moves magnitudes and signs together; this check separates the two. A layer
    keeps its numbers of positive and of negative signs (a kept weight that is exactly 0 carries a sign that does not
    show).
    """
    import torch

    shuffled = {}
    for name, weight in weights.items():
        mask = masks[name].to(weight.device)
        kept = weight[mask]
        negative = torch.signbit(kept)[torch.from_numpy(rng.permutation(len(kept))).to(weight.device)]
        moved = weight.clone()
        moved[mask] = torch.where(negative, -kept.abs(), kept.abs())
        shuffled[name] = moved
    return shuffled


@check(
    at="weights",
    destroys="the values the mask was chosen for, trained ones included",
    keeps="the mask, biases and normalisation",
    paper="Frankle & Carbin 2019",
    aliases=("randomly_reinitialize", "random_reinit"),
)
def reinit(weights: dict[str, Tensor], masks: dict[str, Tensor], initial: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep the mask, start from a fresh initialisation.

    The values come from the network's own initialiser, in a stream of their own for every seed. Only prunable weights
    are redrawn: biases and normalisation stay what they were.
    """
    return {
        name: (initial[name].to(weight) * masks[name].to(weight.device)).to(weight.dtype)
        for name, weight in weights.items()
    }
