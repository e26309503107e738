"""Networks as users write them, small ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunecheck.pruning.layers import layers_of


def masks_for(net: nn.Module, sparsity: float) -> dict[str, Tensor]:
    """Random masks; the first layer keeps all its weights, so that one layer is dense."""
    masks = {layer.name: torch.rand(layer.shape) >= sparsity for layer in layers_of(net)}
    first = next(iter(masks))
    masks[first] = torch.ones_like(masks[first])
    return masks


class Bottleneck(nn.Module):
    """As torchvision writes it: 1x1, 3x3 with the stride, 1x1; ReLU in place; a projected shortcut."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottlenecks(nn.Module):
    """A ResNet-50 in small: stem 7x7 with stride 2, max-pool 3x3 with stride 2, three bottlenecks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Bottleneck(16, 16, 1), Bottleneck(64, 16, 1))
        self.layer2 = Bottleneck(64, 32, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


class PlainVgg(nn.Module):
    """Convolutions with biases and no batch norm, and a classifier of three linear layers on a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding="same"), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(inplace=True), nn.AvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(32 * 9, 96), nn.ReLU(), nn.Dropout(0.0), nn.Linear(96, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


class Odd(nn.Module):
    """What no recipe foresees: groups, dilation, other activations, a concatenation, a value used twice, a buffer."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 24, 3, padding=1)
        self.norm = nn.BatchNorm2d(24, momentum=None)
        self.depthwise = nn.Conv2d(24, 24, (5, 3), padding=(2, 1), groups=24)
        self.wide = nn.Conv2d(24, 24, 3, padding=2, dilation=2, groups=2)
        self.plain = nn.BatchNorm2d(24, affine=False, track_running_stats=False)
        self.reflect = nn.Conv2d(24, 16, 3, padding=1, padding_mode="reflect")
        self.bend = nn.PReLU()
        self.squeeze = nn.Conv2d(40, 32, 1)
        self.last = nn.Linear(32, 10)
        self.gain = nn.Parameter(torch.ones(1, 32))
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x))
        y = F.gelu(self.depthwise(F.relu(x)))
        y = self.plain(self.wide(y)) + x
        z = torch.cat([y, self.bend(self.reflect(F.relu(y)))], 1)
        z = F.max_pool2d(F.relu(self.squeeze(z)), 3, stride=2, padding=1)
        return self.last(z.mean(dim=(2, 3)) * self.gain * self.scale)
