"""LAMP (Lee et al. 2021): magnitudes after training, each relative to what would survive it in its layer.

score(w) = w^2 / sum of all v^2 in the layer with |v| >= |w|; all layers compete. The largest weight of every layer
scores 1, so no layer is emptied before all are down to one weight. Deviates: among equal magnitudes the earlier
position scores higher (official code: whatever the sort gives); float64 instead of float32. Kept as trained, retrained
like learning-rate rewinding; the paper fine-tunes in rounds (``rounds``, or ``per_round = 0.2``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor


@method(when="trained", rewind="nothing", retrain="rest", paper="Lee et al. 2021")
def lamp(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Layer-adaptive magnitudes of the trained network, kept as trained, retrained from epoch k on."""
    return {name: relative_to_survivors(weight) for name, weight in weights.items()}


def relative_to_survivors(weight: Tensor) -> Tensor:
    """Each squared weight over the sum of itself and all larger ones; 0 where the weight is 0."""
    import torch

    squares = weight.detach().double().square().reshape(-1)
    largest_first, order = squares.sort(descending=True, stable=True)
    scores = torch.empty_like(squares)
    scores[order] = largest_first / largest_first.cumsum(0).clamp_min(torch.finfo(squares.dtype).tiny)
    return scores.reshape(weight.shape)
