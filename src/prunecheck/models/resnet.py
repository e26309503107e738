"""CIFAR ResNets, depth 6n+2, as Su et al. 2020 trained them (after the GraSP code), and ResNet-18 for small images.

He et al. 2016 (arXiv 1512.03385) §4.2, with two changes: twice the width (32-64-128) and projection shortcuts
("option B", a 1x1 convolution and batch norm) where the shape changes. Every depth is built of basic blocks; the
official code turns to bottlenecks from depth 54 on, so its "ResNet-56" is another network than this one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunecheck.errors import ModelError


def resnet(*, num_classes: int, in_channels: int = 3, depth: int = 32, width: int = 32) -> nn.Module:
    """A ResNet of ``depth`` = 6n+2 layers, ``width`` filters in the first stage. Raises ModelError for other depths."""
    if depth < 8 or (depth - 2) % 6:
        raise ModelError(f"a CIFAR ResNet has 6n+2 layers (8, 14, 20, 32 …), not {depth}.")
    return ResNet(num_classes, in_channels, blocks=(depth - 2) // 6, width=width)


def resnet18(*, num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-18 (He et al. 2016, table 1) for images of about 32 pixels: its stem is one 3x3 convolution of stride 1
    without pooling, so that the last stage sees 4x4 pixels of a 32x32 image. Widths 64-128-256-512, as in most papers
    that call a network on CIFAR ResNet-18; initialised like the other networks here."""
    return ResNet(num_classes, in_channels, blocks=2, width=64, stages=4)


class ResNet(nn.Module):
    """``stages`` of ``blocks`` basic blocks; each but the first halves the image and doubles the width."""

    def __init__(self, num_classes: int, in_channels: int, blocks: int, width: int, stages: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks, stride=1)
        self.layer2 = _stage(width, 2 * width, blocks, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, blocks, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, blocks, stride=2) if stages == 4 else None
        self.fc = nn.Linear(2 ** (stages - 1) * width, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        if self.layer4 is not None:
            x = self.layer4(x)
        features = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.fc(features)
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the shortcut is projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(branch + self.downsample(x))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


def _initialise(model: nn.Module) -> None:
    """Convolutions normal with variance 2/fan_out, the classifier N(0, 0.01); batch norm starts at (1, 0) already."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
