"""Edge-popup (Ramanujan et al. 2020): every weight has a trainable score, and the weights are not trained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunecheck.pruning.seeds import Rng
    from prunecheck.pruning.train_loader import TrainLoader


@method(gives="masks", allocate="uniform", aliases=("edgepopup", "hidden_network"), paper="Ramanujan et al. 2020")
def edge_popup(
    weights: dict[str, Tensor],
    model: nn.Module,
    masks: dict[str, Tensor],
    counts: dict[str, int],
    train_loader: TrainLoader,
    rng: Rng,
    mask_epochs: int = 100,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
) -> dict[str, Tensor]:
    """The mask of a hidden network: scores learned by gradient descent on weights that stay at initialisation.

    Ramanujan et al. 2020, "What's Hidden in a Randomly Weighted Neural Network?". In every layer the weights with the
    largest abs(score) are kept in the forward pass; the gradient passes the selection unchanged (straight-through), so
    a score s of weight w moves by dL/dw * w * sign(s). Scores start uniform in +-1/sqrt(fan-in). SGD with the learning
    rate ``lr`` falling as a half cosine, epoch by epoch, as in github.com/allenai/hidden-networks for CIFAR-10 (100
    epochs, lr 0.1, momentum 0.9, weight decay 1e-4). The defaults are those; batches and augmentation are the study's.

    Differences: the counts of the allocation are exact (the code keeps ``n - int((1 - k) n)`` of a layer's n). The
    paper evaluates the untrained weights under the mask, with signed constants or Kaiming normal weights and without
    affine normalisation and biases; a study trains the ticket from its network's own initial weights.
    """
    import torch
    from torch.func import functional_call

    from prunecheck.pruning.masks import keep_top
    from prunecheck.pruning.sgd import SGD

    scores = {}
    for name, weight in weights.items():
        bound = 1 / math.sqrt(weight[0].numel())
        scores[name] = torch.from_numpy(rng.uniform(-bound, bound, tuple(weight.shape))).to(weight)

    def largest() -> dict[str, Tensor]:
        # -1: what an earlier round removed stays removed
        return keep_top({n: s.abs().masked_fill(~masks[n].to(s.device), -1) for n, s in scores.items()}, counts).masks

    optimiser = SGD(list(scores.values()), lr=lr, momentum=momentum, weight_decay=weight_decay)
    for epoch in range(mask_epochs):
        optimiser.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * epoch / mask_epochs))
        for inputs, targets in train_loader:
            chosen = largest()
            kept = {name: (weight * chosen[name]).requires_grad_() for name, weight in weights.items()}
            loss = train_loader.loss(functional_call(model, kept, (inputs,)), targets)
            slopes = torch.autograd.grad(loss, list(kept.values()), materialize_grads=True)
            for (name, weight), slope in zip(weights.items(), slopes, strict=True):
                scores[name].grad = slope * weight * scores[name].sign()
            optimiser.step()
    return largest()
