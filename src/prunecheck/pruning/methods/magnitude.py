"""Magnitude pruning at initialisation (Frankle et al. 2021, "Missing the Mark"): score = |w|, no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import method

if TYPE_CHECKING:
    from torch import Tensor


def magnitudes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """|w|: the score of every magnitude method, whatever it prunes and when."""
    return {name: weight.abs() for name, weight in weights.items()}


magnitude_init = method(
    name="magnitude_init",
    summary="The largest initial weights, all layers competing; trained from initialisation.",
    aliases=("magnitude", "mag"),
    paper="Frankle et al. 2021",
)(magnitudes)
