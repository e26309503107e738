"""First-order methods: scores from the gradient of the loss over the scoring batches.

Gradients are summed over the batches before the absolute value. Normalisation uses batch statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor


def gradients(weights: dict[str, Tensor], loss: Any) -> dict[str, Tensor]:
    """dL/dw at *weights*; 0 where the loss does not depend on a weight."""
    import torch

    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    slope = torch.autograd.grad(loss(leaves), list(leaves.values()), materialize_grads=True)
    return dict(zip(weights, slope, strict=True))


@method(paper="Evci et al. 2020", aliases=("gradient_magnitude",))
def gradient(weights: dict[str, Tensor], loss: Any) -> dict[str, Tensor]:
    """The largest gradients at initialisation, whatever the weights are.

    score = |dL/dw|: the growth criterion of RigL (Evci et al. 2020), ITOP and GraNet, used to choose a mask once.
    """
    return {name: g.abs() for name, g in gradients(weights, loss).items()}


@method(paper="Lee et al. 2019")
def snip(weights: dict[str, Tensor], loss: Any) -> dict[str, Tensor]:
    """Connection sensitivity: weights whose removal would change the loss most, to first order.

    score = |w * dL/dw| at initialisation (Lee, Ajanthan & Torr 2019). As in the official code of Su et al. 2020 the
    true initial weights are scored; the SNIP paper re-initialises a copy (preset ``snip``).
    """
    return {name: (weights[name] * g).abs() for name, g in gradients(weights, loss).items()}


# SNIP's score after training instead of before it (Molchanov et al. 2017): global_saliency in jaxpruner, GlobalMagGrad
# in ShrinkBench, first-order Taylor pruning elsewhere. ShrinkBench takes the gradient of one batch and ranks biases as
# well.
saliency = method(
    name="saliency",
    summary="Largest |weight x gradient| of the trained network, kept as trained, retrained from epoch k on.",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("taylor", "mag_grad", "global_saliency"),
    paper="Molchanov et al. 2017",
)(snip.function)
