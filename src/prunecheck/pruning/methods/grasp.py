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
    from torch.nn.attention import SDPBackend, sdpa_kernel

    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    inputs = list(leaves.values())
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no second derivative
        value = loss(leaves, temperature)
    slopes = torch.autograd.grad(value, inputs, create_graph=True, allow_unused=True)
    along = torch.stack([(g * g.detach()).sum() for g in slopes if g is not None]).sum()
    if not _is_differentiable(along.grad_fn):
        raise PluginError("grasp: the network computes something that cannot be differentiated twice.")
    curved = torch.autograd.grad(along, inputs, allow_unused=True)
    return {
        name: torch.zeros_like(weight) if product is None else weight * product
        for (name, weight), product in zip(weights.items(), curved, strict=True)
    }


def _is_differentiable(root: Any) -> bool:
    """Whether every operation behind *root* has a derivative. autograd.grad skips those that have none without a word,
    and autograd.backward, which does not, would leave gradients in whatever else the loss reaches."""
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() in ("torch::autograd::Error", "NotImplemented"):
            return False
        seen.add(node)
        waiting.extend(following for following, _ in node.next_functions)
    return True
