"""Movement pruning (Sanh et al. 2020): weights that move away from 0 while the network is fine-tuned are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunecheck.pruning.train_loader import TrainLoader

WHOLE, FINAL = 0.1, 0.2
"""fractions of the steps at the start without pruning, and at the end at the target sparsity"""


def sparsity_at(progress: float, target: float) -> float:
    """The sparsity of a step of the cubic schedule. ``progress``: the fraction of the steps done, in [0, 1)."""
    left = min(1.0, max(0.0, (1 - FINAL - progress) / (1 - FINAL - WHOLE)))
    return target * (1 - left**3)


@method(
    when="trained",
    rewind="nothing",
    retrain="rest",
    allocate="uniform",
    aliases=("movement_pruning",),
    paper="Sanh et al. 2020",
)
def movement(
    weights: dict[str, Tensor],
    model: nn.Module,
    masks: dict[str, Tensor],
    sparsity: float,
    train_loader: TrainLoader,
    mask_epochs: int = 10,
    lr: float = 0.01,
    momentum: float = 0.9,
) -> dict[str, Tensor]:
    """Weights that move away from 0 in fine-tuning, learned with the mask in place at a sparsity that rises.

    Sanh, Wolf & Rush 2020, "Movement Pruning" (hard, top-v of every layer): score = -sum over the steps of dL/dw' * w,
    w' the masked weight, accumulated for pruned weights too (straight-through); weights are trained along. The sparsity
    is 0 for the first tenth of the steps, rises cubically and stays at the target for the last fifth, as in the
    published SQuAD run (initial warm-up of 5,400, final of 10,800 of about 55,000 steps).

    Differences: SGD with a constant learning rate in place of AdamW; since scores start at 0 and follow plain gradient
    descent, their own learning rate does not matter. Only prunable weights are trained along. A ticket starts from the
    pretrained weights, as every method that rewinds nothing, and is retrained; the paper keeps the fine-tuned ones.
    """
    import torch
    from torch.func import functional_call

    from prunecheck.pruning.counts import kept_total
    from prunecheck.pruning.masks import keep_top
    from prunecheck.pruning.sgd import SGD

    lowest = -float("inf")
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    moving = {name: weight.clone() for name, weight in weights.items()}
    optimiser = SGD(list(moving.values()), lr=lr, momentum=momentum)
    step, steps = 0, mask_epochs * len(train_loader)
    for _ in range(mask_epochs):
        for inputs, targets in train_loader:
            now = sparsity_at(step / steps, sparsity)
            # lowest: what an earlier round removed stays removed
            rank = {n: s.masked_fill(~masks[n].to(s.device), lowest) for n, s in scores.items()}
            chosen = keep_top(rank, {n: kept_total(s.numel(), now) for n, s in scores.items()}).masks
            kept = {name: (weight * chosen[name]).requires_grad_() for name, weight in moving.items()}
            loss = train_loader.loss(functional_call(model, kept, (inputs,)), targets)
            slopes = torch.autograd.grad(loss, list(kept.values()), materialize_grads=True)
            for (name, weight), slope in zip(moving.items(), slopes, strict=True):
                scores[name] -= slope * weight
                weight.grad = slope * chosen[name]
            optimiser.step()
            step += 1
    return scores
