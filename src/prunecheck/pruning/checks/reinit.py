"""Reinit (Frankle & Carbin 2019; Frankle et al. 2021): the mask stays, the weights under it are drawn anew.

The values come from the network's own initialiser, in a stream of their own for every seed. Only prunable weights are
redrawn: biases and normalisation stay what they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor


@check(
    at="weights",
    destroys="the values the mask was chosen for, trained ones included",
    keeps="the mask, biases and normalisation",
    paper="Frankle & Carbin 2019",
    aliases=("randomly_reinitialize", "random_reinit"),
)
def reinit(weights: dict[str, Tensor], masks: dict[str, Tensor], initial: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep the mask, start from a fresh initialisation."""
    return {
        name: (initial[name].to(weight) * masks[name].to(weight.device)).to(weight.dtype)
        for name, weight in weights.items()
    }
