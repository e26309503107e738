"""Checks of the updates of a mask that changes during training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="updates",
    preserves="counts",
    destroys="which weights grow",
    keeps="which weights an update drops, how many grow in each layer, and when",
    paper="Evci et al. 2020",
)
def random_growth(updates: dict[str, Tensor], kept: dict[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """At every update as many weights grow in each layer, at uniformly random positions.

    RigL with random growth is SET in RigL's own schedule.
    """
    from prunecheck.pruning.masks import counts_of
    from prunecheck.pruning.updates import at_random, grown

    return grown(kept, at_random(kept, rng), counts_of(updates))


@check(
    at="updates",
    destroys="every change of the mask",
    keeps="the mask and the weights that the training starts from, and how many weights are kept",
    paper="Evci et al. 2020",
    aliases=("static",),
)
def frozen_topology(updates: dict[str, Tensor], before: dict[str, Tensor]) -> dict[str, Tensor]:
    """No update takes place: the initial mask is kept throughout.

    That is the static training of a random ticket with the same counts, equal to the bit on the dense backend.
    """
    return {name: before[name] for name in updates}
