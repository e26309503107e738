"""Small networks, images and feeds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunecheck.pruning.seeds import torch_stream
from prunecheck.training.feed import Feed

MEAN, STD = (0.4, 0.5), (0.2, 0.3)


def images(count: int = 23, channels: int = 2, side: int = 6, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)
    return inputs, torch.arange(count) % classes


def feed(count: int = 23, pad: int = 0, seed: int = 0) -> Feed:
    return Feed(*images(count, seed=seed), MEAN, STD, pad=pad)


def network(seed: int = 0) -> nn.Module:
    """Two convolutions with batch norm, a bias, a linear layer; channels-last like every network that is trained."""
    with torch_stream(seed, "small network"):
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        )
    return model.to(memory_format=torch.channels_last)


def masks_for(model: nn.Module, share: float = 0.4, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(parameter.shape, generator=generator) < share
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1
    }
