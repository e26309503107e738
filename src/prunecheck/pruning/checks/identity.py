"""Identity: the control that changes nothing. The arm is trained again from scratch and must be equal to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor


@check(at="masks", preserves="counts", changes=False, destroys="nothing", keeps="everything")
def identity(masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """Change nothing: the two arms must agree to the last bit."""
    return masks
