"""Small networks: a three-layer convnet, the LeNet-300-100 perceptron, and a network for the recipe ``fast``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunecheck.errors import ModelError

SMALLEST_IMAGE = 8


def convnet(*, num_classes: int, in_channels: int = 3, image_size: int = 16, width: int = 16) -> nn.Module:
    """Three convolutions of ``width``, 2 and 4 times ``width`` filters. Raises ModelError under 8 pixels.

    Without batch norm a network this small does not train once it is pruned at random, because the signal vanishes.
    """
    if image_size < SMALLEST_IMAGE:
        raise ModelError(
            f"convnet halves its images three times: it takes {SMALLEST_IMAGE} pixels or more, not {image_size}."
        )
    return ConvNet(num_classes, in_channels, width)


def fastnet(*, num_classes: int, in_channels: int = 3, image_size: int = 32, width: int = 16) -> nn.Module:
    """Seven convolutions of ``width``, then 2, 4 and 4 times ``width`` filters. Raises ModelError under 8 pixels."""
    if image_size < SMALLEST_IMAGE:
        raise ModelError(
            f"fastnet halves its images three times: it takes {SMALLEST_IMAGE} pixels or more, not {image_size}."
        )
    return FastNet(in_channels, num_classes, width)


def lenet_300_100(*, num_classes: int, in_channels: int = 1, image_size: int = 28) -> nn.Module:
    """The perceptron inputs-300-100-classes of LeCun et al. 1998, with ReLU; 266,200 weights on MNIST."""
    return Perceptron(in_channels * image_size**2, num_classes)


class ConvNet(nn.Module):
    """Three times 3x3 convolution, batch norm, ReLU, max-pool; then the average over the map and a linear layer."""

    def __init__(self, num_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.fc = nn.Linear(4 * width, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        logits: Tensor = self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
        return logits


class FastNet(nn.Module):
    """A convolution at full size, then three stages of two; every convolution is followed by batch norm and ReLU.

    The plan of stages is that of airbench94 (Jordan, arXiv 2404.00498): a stage pools between its first convolution and
    its batch norm, so that three quarters of the normalisation are saved. A learned 3x3 convolution stands for the
    whitening layer there, ReLU for GELU, and the mean over the last map for its maximum.
    """

    def __init__(self, inputs: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stage1 = FastStage(width, 2 * width)
        self.stage2 = FastStage(2 * width, 4 * width)
        self.stage3 = FastStage(4 * width, 4 * width)
        self.fc = nn.Linear(4 * width, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
        return logits


class FastStage(nn.Module):
    """Convolution, max-pool, batch norm, ReLU; convolution, batch norm, ReLU. Halves the image."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return F.relu(self.bn2(self.conv2(x)))


class Perceptron(nn.Module):
    """Flatten, then three linear layers with ReLU between them."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.fc1(torch.flatten(images, 1)))
        logits: Tensor = self.fc3(F.relu(self.fc2(x)))
        return logits


def _initialise(model: nn.Module) -> None:
    """Every weight normal with variance 2/fan_in (He et al. 2015), every bias 0."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
