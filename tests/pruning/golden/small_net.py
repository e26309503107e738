"""The network, batch and mask fingerprint that the golden values of the published codes were made with. Weights and
images come from numpy's PCG64, so they are the same everywhere."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CLASSES, PER_CLASS, SEED = 4, 6, 7


class SmallNet(nn.Sequential):
    """Two convolutions with batch norm, a hidden linear layer and a classifier: 1912 prunable weights, no other biases
    than the classifier's (some codes would prune them too)."""


class VGGSmallNet(SmallNet):
    """The same under a name of the VGG family."""


def small_net(kind: type[SmallNet] = SmallNet, layers: Any = nn) -> SmallNet:
    """``layers``: where Conv2d, BatchNorm2d and Linear come from (one code has its own)."""
    net = kind(
        OrderedDict(
            conv1=layers.Conv2d(3, 8, 3, padding=1, bias=False),
            bn1=layers.BatchNorm2d(8),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=layers.Conv2d(8, 12, 3, padding=1, bias=False),
            bn2=layers.BatchNorm2d(12),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            hidden=layers.Linear(48, 16, bias=False),
            relu3=nn.ReLU(),
            fc=layers.Linear(16, CLASSES),
        )
    )
    rng = np.random.Generator(np.random.PCG64(SEED))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.dim() > 1:
                values = rng.standard_normal(tuple(parameter.shape)) * (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(torch.from_numpy(values))
            elif name == "fc.bias":
                parameter.zero_()
    return net


def batch() -> tuple[Tensor, Tensor]:
    """(inputs [24, 3, 8, 8], targets [24]), sorted by class."""
    rng = np.random.Generator(np.random.PCG64(SEED + 1))
    inputs = rng.standard_normal((CLASSES * PER_CLASS, 3, 8, 8)).astype(np.float32)
    return torch.from_numpy(inputs), torch.arange(CLASSES).repeat_interleave(PER_CLASS)


def packed(masks: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a mask: kept weights per layer, and sha256 of all bits in layer order."""
    flat = {name: np.asarray(mask).astype(bool).reshape(-1) for name, mask in masks.items()}
    bits = np.packbits(np.concatenate(list(flat.values())))
    return {
        "kept": {name: int(mask.sum()) for name, mask in flat.items()},
        "sha256": hashlib.sha256(bits.tobytes()).hexdigest(),
    }
