"""Layerwise rearrange (Su et al. 2020; Frankle et al. 2021): other positions, the same number in every layer.

The weights at the new positions keep their own start values, as in the official code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="masks",
    preserves="counts",
    destroys="which weights of a layer are kept",
    keeps="how many weights every layer keeps",
    paper="Su et al. 2020",
    aliases=("rearrange", "layerwise_shuffle"),
)
def layerwise_rearrange(masks: dict[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """Same number of kept weights per layer, at uniformly random positions."""
    from prunecheck.pruning.masks import permuted

    return {name: permuted(mask, rng) for name, mask in masks.items()}
