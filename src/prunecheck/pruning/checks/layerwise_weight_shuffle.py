"""Layerwise weight shuffling (Su et al. 2020): kept values permuted among the kept positions of their layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

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
