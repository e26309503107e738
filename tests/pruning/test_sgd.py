"""SGD without torch's compiler has the bits of torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from prunecheck.pruning.sgd import SGD


def trained(make: type[torch.optim.SGD], **how: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    weights = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (4,), (2, 4))]
    optimiser = make(weights, lr=0.1, **how)
    for step in range(4):
        optimiser.zero_grad()
        optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
        for weight in weights:
            assert weight.grad is None
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimiser.step()
    return [*weights, *(state["momentum_buffer"] for state in optimiser.state.values() if state)]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"momentum": 0.9, "weight_decay": 5e-4, "fused": True},
        {"momentum": 0.9, "weight_decay": 5e-4, "fused": True, "nesterov": True},
        {"momentum": 0.9},
    ],
)
def test_weights_and_momentum_have_the_bits_of_the_sgd_of_torch(how: dict[str, Any]) -> None:
    for own, reference in zip(trained(SGD, **how), trained(torch.optim.SGD, **how), strict=True):
        assert torch.equal(own, reference)


def test_hooks_of_optimisers_are_called_once_per_step() -> None:
    called: list[object] = []
    handle = register_optimizer_step_post_hook(lambda optimiser, *_: called.append(optimiser))
    try:
        trained(SGD)
        assert len(called) == 4
    finally:
        handle.remove()
