"""SNIP (Lee, Ajanthan & Torr 2019): score = |w * dL/dw| at initialisation.

As in the official code of Su et al. 2020: the true initial weights are scored (the SNIP paper re-initialises a copy),
normalisation uses batch statistics, gradients are summed over the scoring batches before the absolute value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunecheck.pruning import method

if TYPE_CHECKING:
    from torch import Tensor


@method(paper="Lee et al. 2019")
def snip(weights: dict[str, Tensor], loss: Any) -> dict[str, Tensor]:
    """Connection sensitivity: weights whose removal would change the loss most, to first order."""
    import torch

    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    slope = torch.autograd.grad(loss(leaves), list(leaves.values()), materialize_grads=True)
    return {name: (weights[name] * g).abs() for name, g in zip(weights, slope, strict=True)}
