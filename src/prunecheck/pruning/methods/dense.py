"""The unpruned network: the reference every study trains, and what the margin is fixed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import method

if TYPE_CHECKING:
    from torch import Tensor


@method(gives="masks", allocate="nothing", summary="No pruning: the reference.")
def dense(masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """All masks stay as they are: True everywhere."""
    return masks
