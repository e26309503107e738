"""SynFlow (Tanaka et al. 2020): prune in many rounds what carries the least synaptic flow; no data.

score = |w| * dR/d|w|, R the sum of the outputs of the network with the absolute values of all its parameters, on one
input of ones. After round e of n the share (1 - sparsity)^(e/n) of all weights is left; removed ones are 0 in the next
round. As in the published code normalisation runs in evaluation mode and biases count as absolute values too.

Deviates: float64 instead of float32, in which deep networks overflow; normalisation always stands at its initial
statistics (mean 0, variance 1). What comes back are scores, so that exact counts, other allocations and checks of
scores apply: the survivors of round n - 1 have their scores of the last round, weights that went in an earlier one
score below 0, the earlier the lower.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor, nn


@method(paper="Tanaka et al. 2020")
def synflow(
    model: nn.Module, weights: dict[str, Tensor], input_shape: tuple[int, ...], sparsity: float, prune_rounds: int = 100
) -> dict[str, Tensor]:
    """Iterative synaptic-flow preservation at initialisation: 100 rounds inside one score, no data."""
    import torch

    from prunecheck.pruning.masks import global_cut

    net = linearised(model)
    sizes = {name: weight.detach().abs().double() for name, weight in weights.items()}
    ones = torch.ones((1, *input_shape), dtype=torch.float64, device=next(iter(sizes.values())).device)
    scores = {name: torch.zeros_like(size) for name, size in sizes.items()}
    alive = {name: torch.ones_like(size, dtype=torch.bool) for name, size in sizes.items()}
    total = sum(size.numel() for size in sizes.values())
    for finished in range(prune_rounds):
        flow = _flow(net, sizes, ones)
        if finished == prune_rounds - 1:
            return {name: torch.where(alive[name], flow[name], scores[name]) for name in scores}
        pool = {name: flow[name][kept] for name, kept in alive.items()}
        left = sum(part.numel() for part in pool.values())
        surplus = int((1 - (1 - sparsity) ** ((finished + 1) / prune_rounds)) * total) - (total - left)
        if surplus > 0:
            cut = global_cut(pool, left - surplus + 1)
            for name, kept in alive.items():
                going = kept & (flow[name] <= cut)
                scores[name][going] = finished + 1.0 - prune_rounds
                sizes[name][going] = 0.0
                kept[going] = False
    return scores


def linearised(model: nn.Module) -> nn.Module:
    """A copy in float64 and evaluation mode, normalisation as it starts out, every parameter at its absolute value."""
    import torch

    net = copy.deepcopy(model).double().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            device = next(net.parameters()).device
            module.track_running_stats = True
            module.running_mean = torch.zeros(module.num_features, dtype=torch.float64, device=device)
            module.running_var = torch.ones_like(module.running_mean)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    return net


def _flow(net: nn.Module, sizes: dict[str, Tensor], ones: Tensor) -> dict[str, Tensor]:
    import torch
    from torch.func import functional_call

    leaves = {name: size.detach().requires_grad_() for name, size in sizes.items()}
    total = functional_call(net, leaves, (ones,)).sum()
    slope = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return {name: (leaves[name] * g).detach() for name, g in zip(leaves, slope, strict=True)}
