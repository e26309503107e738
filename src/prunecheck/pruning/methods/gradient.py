"""Gradient magnitude at initialisation: score = |dL/dw|, summed over the scoring batches before the absolute value.

The growth criterion of RigL (Evci et al. 2020), ITOP and GraNet, used to choose a mask once: SNIP without the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunecheck.pruning import method

if TYPE_CHECKING:
    from torch import Tensor


@method(paper="Evci et al. 2020", aliases=("gradient_magnitude",))
def gradient(weights: dict[str, Tensor], loss: Any) -> dict[str, Tensor]:
    """The largest gradients at initialisation, whatever the weights are."""
    import torch

    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    slope = torch.autograd.grad(loss(leaves), list(leaves.values()), materialize_grads=True)
    return {name: g.abs() for name, g in zip(leaves, slope, strict=True)}
