"""Methods that look at no weight: the random ticket and the dense reference.

Random tickets (Su et al. 2020, section 5): the smart ratio says how many, chance says which.

Exactly ``counts[layer]`` positions are drawn uniformly without replacement in each layer (official code: randperm), the
weights are the initial ones, no data is touched. With another allocation (``allocate = "erk"``) it is that
allocation's random baseline; with ``{name = "counts_of", method = "snip"}``, SNIP's layer ratios at random positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method
from prunecheck.pruning.layers import Layer

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@method(gives="masks", allocate="smart_ratio", aliases=("random", "rand", "smart_ratio"), paper="Su et al. 2020")
def random_ticket(
    layers: tuple[Layer, ...], counts: dict[str, int], pattern: str | None, rng: Rng
) -> dict[str, Tensor]:
    """Smart-ratio counts at uniformly random positions; initial weights; no data used."""
    from prunecheck.pruning.masks import random_masks
    from prunecheck.pruning.patterns import parse_pattern
    from prunecheck.pruning.select_pattern import random_masks_under

    if pattern is not None:
        return random_masks_under(parse_pattern(pattern), layers, counts, rng)
    return random_masks(layers, counts, rng)


@method(gives="masks", allocate="nothing", summary="No pruning: the reference.")
def dense(masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """All masks stay as they are: True everywhere. Every study trains it, and the margin is fixed from it."""
    return masks
