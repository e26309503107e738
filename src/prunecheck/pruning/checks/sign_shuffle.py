"""Sign shuffling (after Zhou et al. 2019; Gadhikar & Burkholz 2024): magnitudes stay in place, the signs of the kept
weights are permuted inside each layer.

Weight shuffling moves magnitudes and signs together; this check separates the two. A layer keeps its numbers of
positive and of negative signs (a kept weight that is exactly 0 carries a sign that does not show).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="weights",
    preserves="magnitudes",
    destroys="which kept weight has which sign",
    keeps="the mask, every weight's magnitude, the number of negative signs of every layer",
    paper="Gadhikar & Burkholz 2024",
    aliases=("signs",),
)
def sign_shuffle(weights: dict[str, Tensor], masks: dict[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """Keep mask and magnitudes, permute the signs of the kept weights inside each layer."""
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
