"""Invert (Frankle et al. 2021, "Missing the Mark"): keep what the method calls worst.

The score changes sign, everything else (allocation, ties, exact total) stays. With a global threshold the counts of the
layers therefore change as well; with an allocation that needs no scores they do not. Methods that choose masks
themselves have no score to invert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor


@check(
    at="scores",
    destroys="what the method takes for important: the ranking is turned round",
    keeps="the total of kept weights, their start values, everything the ticket trains on",
    paper="Frankle et al. 2021",
    aliases=("inverted",),
)
def invert(scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep the weights the method values least."""
    return {name: -score for name, score in scores.items()}
