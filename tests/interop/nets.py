"""A small network with everything in it, its masks, and every form in which a pruned network comes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

Masks = dict[str, Tensor]


class Net(nn.Module):
    """A convolution, normalisation, a grouped convolution, a linear classifier: 8 x 3 x 9 + 8 x 4 x 9 + 5 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.second(x))
        return self.fc(x.mean((2, 3)))


def net(seed: int = 0) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net()


def masks(seed: int = 0, share: float = 0.3) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"first.weight": (8, 3, 3, 3), "second.weight": (8, 4, 3, 3), "fc.weight": (5, 8)}
    return {name: torch.rand(shape, generator=generator) < share for name, shape in shapes.items()}


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(20, 3, 6, 6, generator=generator), torch.arange(20) % 5


def same(a: Masks, b: Masks) -> bool:
    return list(a) == list(b) and all(a[n].dtype == torch.bool and torch.equal(a[n], b[n]) for n in a)


def with_zeros(chosen: Masks) -> Net:
    model = net()
    with torch.no_grad():
        for name, mask in chosen.items():
            model.get_parameter(name).mul_(mask)
    return model


def with_prune_buffers(chosen: Masks) -> Net:
    model = net()
    for name, mask in chosen.items():
        prune.custom_from_mask(model.get_submodule(name.removesuffix(".weight")), "weight", mask)
    return model


class Masked(nn.Module):
    """A parametrisation as sparsity libraries write it."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def with_parametrisations(chosen: Masks) -> Net:
    model = net()
    for name, mask in chosen.items():
        parametrize.register_parametrization(model.get_submodule(name.removesuffix(".weight")), "weight", Masked(mask))
    return model


FORMS = {"zeros": with_zeros, "prune buffers": with_prune_buffers, "parametrisations": with_parametrisations}
