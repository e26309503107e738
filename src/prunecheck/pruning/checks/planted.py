"""Planted dose: a known share of the kept positions redrawn. A control, not a question: it shows how small a loss the
study can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import PluginError
from prunecheck.pruning import check

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng


@check(
    at="masks",
    preserves="counts",
    destroys="which weights are kept, for the given share of them",
    keeps="how many weights every layer keeps, and the positions of all others",
)
def planted(masks: dict[str, Tensor], rng: Rng, share: float = 0.5) -> dict[str, Tensor]:
    """Redraw a share of each layer's kept positions among those not kept otherwise."""
    import numpy as np
    import torch

    if not 0 < share <= 1:
        raise PluginError(f"planted: share = {share:g} must lie in (0, 1].")
    planted_masks = {}
    for name, mask in masks.items():
        flat = mask.reshape(-1).cpu().numpy().copy()
        kept = np.flatnonzero(flat)
        moving = rng.choice(kept, round(share * len(kept)), replace=False)
        flat[moving] = False
        flat[rng.choice(np.flatnonzero(~flat), len(moving), replace=False)] = True
        planted_masks[name] = torch.from_numpy(flat).reshape(mask.shape).to(mask.device)
    return planted_masks
