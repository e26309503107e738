"""A real network with batch normalisation, small enough for finite differences, and a loss as the framework offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from prunecheck.pruning import ALLOCATIONS, Method
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import layers_of, total, weights_of
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.train_loader import TrainLoader

Batches = list[tuple[Tensor, Tensor]]
Loss = Callable[..., Tensor]


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Conv-BN-ReLU twice, grouped once, pooled, linear; 314 prunable weights. Scored with batch statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6, track_running_stats=False),
            nn.Softplus(),  # smooth, so that second differences exist
            nn.Conv2d(6, 8, 3, padding=1, groups=2),
            nn.BatchNorm2d(8, track_running_stats=False),
            nn.Softplus(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        )
    return model.to(dtype).train()


def some_batches(seed: int = 0, dtype: torch.dtype = torch.float32, count: int = 2) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(12, 2, 6, 6, generator=generator, dtype=torch.float64).to(dtype),
            torch.randint(0, 3, (12,), generator=generator),
        )
        for _ in range(count)
    ]


def loss_of(model: nn.Module, batches: Batches) -> Loss:
    """loss(weights, temperature=1): cross-entropy of logits / temperature, summed over the batches."""

    def loss(weights: dict[str, Tensor], temperature: float = 1.0) -> Tensor:
        terms = [cross_entropy(functional_call(model, weights, (x,)) / temperature, y) for x, y in batches]
        return torch.stack(terms).sum()

    return loss


def slope_of(loss: Loss, weights: dict[str, Tensor], temperature: float = 1.0) -> dict[str, Tensor]:
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    return dict(zip(weights, torch.autograd.grad(loss(leaves, temperature), list(leaves.values())), strict=True))


def close(a: Tensor, b: Tensor, rtol: float = 1e-7, atol: float = 1e-7) -> bool:
    """Largest deviation within rtol of each value or atol of the largest one. (torch.testing takes seconds to load.)"""
    bound = rtol * b.abs() + atol * float(b.abs().max())
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a - b).abs() <= bound).all())


@dataclass(frozen=True)
class Scene:
    """Everything a method may ask for, as the framework offers it."""

    model: nn.Module
    batches: Batches
    sparsity: float = 0.8

    def offers(self, method: Method, seed: int = 0) -> dict[str, Any]:
        layers, weights = layers_of(self.model), weights_of(self.model)
        allocate = ALLOCATIONS.get(method.allocate)
        counts = self.counts(method, None) if allocate.is_known_ahead else None
        return {
            "weights": weights,
            "model": self.model,
            "batches": self.batches,
            "loss": loss_of(self.model, self.batches),
            "train_loader": self.loader(method) if method.learns else None,
            "layers": layers,
            "counts": counts,
            "pattern": None,
            "masks": {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()},
            "sparsity": self.sparsity,
            "input_shape": tuple(self.batches[0][0].shape[1:]),
            "rng": stream(seed, "score", method.name),
        }

    def loader(self, method: Method) -> TrainLoader:
        epochs = method.options[MASK_EPOCHS]
        return TrainLoader(lambda _: self.batches, len(self.batches), cross_entropy, epochs, method.name)

    def counts(self, method: Method, scores: dict[str, Tensor] | None) -> dict[str, int]:
        allocate = ALLOCATIONS.get(method.allocate)
        offers = {"layers": layers_of(self.model), "scores": scores, "sparsity": self.sparsity, "family": "resnet"}
        answer: dict[str, int] = allocate(**{name: offers[name] for name in allocate.asks})
        return answer

    def kept(self, method: Method) -> int:
        size = total(layers_of(self.model))
        return size if method.allocate == "nothing" else kept_total(size, self.sparsity)


def scene(seed: int = 0, dtype: torch.dtype = torch.float32) -> Scene:
    return Scene(network(seed, dtype), some_batches(seed, dtype))
