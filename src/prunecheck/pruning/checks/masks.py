"""Checks of which weights are kept: the positions of the mask, and the ranking of the scores behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import PluginError
from prunecheck.pruning.built_in import check

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
def layerwise_rearrange(masks: dict[str, Tensor], patterns: dict[str, str | None], rng: Rng) -> dict[str, Tensor]:
    """Same number of kept weights per layer, at uniformly random positions; a structured pattern is kept.

    The weights at the new positions keep their own start values, as in the official code. In a layer with a structured
    pattern the mask is drawn among those of the pattern with the same count: other filters of the layer, other weights
    of every group of N:M, other blocks. What is then tested is the choice, and not the pattern.
    """
    from prunecheck.pruning.structure import other_arrangement

    return other_arrangement(masks, patterns, rng)


@check(
    at="masks",
    preserves="counts",
    destroys="which weights of a layer are kept, and the structured pattern they form",
    keeps="how many weights every layer keeps",
    paper="Su et al. 2020",
)
def unstructured_rearrange(masks: dict[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """Same number of kept weights per layer, at uniformly random positions, whatever pattern they form.

    For masks without a structured pattern it is `layerwise_rearrange`. For others the ticket loses the pattern as well
    as the choice, and gains freedom: it may be better than the method's own.
    """
    from prunecheck.pruning.masks import permuted

    return {name: permuted(mask, rng) for name, mask in masks.items()}


@check(
    at="scores",
    destroys="what the method takes for important: the ranking is turned round",
    keeps="the total of kept weights, their start values, everything the ticket trains on",
    paper="Frankle et al. 2021",
    aliases=("inverted",),
)
def invert(scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep the weights the method values least.

    The score changes sign, everything else (allocation, ties, exact total) stays. With a global threshold the counts of
    the layers therefore change as well; with an allocation that needs no scores they do not. Methods that choose masks
    themselves have no score to invert.
    """
    return {name: -score for name, score in scores.items()}


@check(at="masks", preserves="counts", changes=False, destroys="nothing", keeps="everything")
def identity(masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """Change nothing: the two arms must agree to the last bit.

    The arm is trained again from scratch and must be equal to the bit.
    """
    return masks


@check(
    at="masks",
    preserves="counts",
    destroys="which weights are kept, for the given share of them",
    keeps="how many weights every layer keeps, and the positions of all others",
)
def planted(
    masks: dict[str, Tensor], patterns: dict[str, str | None], rng: Rng, share: float = 0.5
) -> dict[str, Tensor]:
    """Redraw a share of each layer's kept positions among those not kept otherwise.

    In a layer with a structured pattern, of its groups. A control, not a question: it shows how small a loss the study
    can see.
    """
    import numpy as np
    import torch

    from prunecheck.pruning.structure import partly_rearranged

    if not 0 < share <= 1:
        raise PluginError(f"planted: share = {share:g} must lie in (0, 1].")
    planted_masks = {}
    for name, mask in masks.items():
        if (pattern := patterns[name]) is not None:
            planted_masks[name] = partly_rearranged(mask, pattern, rng, share)
            continue
        flat = mask.reshape(-1).cpu().numpy().copy()
        kept = np.flatnonzero(flat)
        moving = rng.choice(kept, round(share * len(kept)), replace=False)
        flat[moving] = False
        flat[rng.choice(np.flatnonzero(~flat), len(moving), replace=False)] = True
        planted_masks[name] = torch.from_numpy(flat).reshape(mask.shape).to(mask.device)
    return planted_masks
