"""GraSP (Wang, Zhang & Grosse 2020): keep the weights whose removal would hurt the gradient norm most.

score = w * (H g), g and H the gradient and Hessian of the loss at temperature 200. The official code ranks
-w * (H g) / |sum| ascending, which is the same order. Deviates from it: the classifier is not drawn anew for scoring,
and the loss is that of the scoring batches as they are, not of their class-sorted halves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunecheck.errors import PluginError
from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor


@method(paper="Wang et al. 2020")
def grasp(weights: dict[str, Tensor], loss: Any, temperature: float = 200.0) -> dict[str, Tensor]:
    """Gradient-flow preservation: score = w * (Hessian times gradient)."""
    import torch

    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    inputs = list(leaves.values())
    slopes = torch.autograd.grad(loss(leaves, temperature), inputs, create_graph=True, allow_unused=True)
    along = torch.stack([(g * g.detach()).sum() for g in slopes if g is not None]).sum()
    # not autograd.grad(along, inputs): it would skip, without a word, what cannot be differentiated twice
    torch.autograd.backward(along)
    scores = {}
    for (name, weight), slope, leaf in zip(weights.items(), slopes, inputs, strict=True):
        if slope is not None and leaf.grad is None:
            raise PluginError(f"grasp: the network has no second derivative for {name}.")
        scores[name] = torch.zeros_like(weight) if leaf.grad is None else weight * leaf.grad
    return scores
