"""The training loop of the official code of Su et al. 2020 (train_ticket.py), written again in our words to be timed.

What it does to every image and in every step is kept: a Pillow image per sample, random crop, flip, tensor, normalise;
NCHW memory; plain SGD; three ``.item()`` a step; and masks derived in every step from the weights that are not zero.
What is left out would only cost it time: progress bar, meters, counts of zeros, checkpoints, test passes, and what
torchvision's transforms do beside their work (checks, dispatch). So it is no slower than the original.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2023, 0.1994, 0.2010)
ENDLESS = 1 << 40


class PilImages(Dataset[tuple[Tensor, int]]):
    """*images*: uint8 [N, H, W, 3]; *targets*: int64 [N]. A sample is (float32 [3, H, W], class)."""

    def __init__(self, images: np.ndarray, targets: np.ndarray, *, pad: int = 4, flip: bool = True) -> None:
        self._images, self._targets = images, [int(target) for target in targets]
        self._pad, self._flip = pad, flip
        self._mean, self._std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self._images[index])
        if self._pad:
            image = _random_crop(image, self._pad)
        if self._flip and torch.rand(1) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return pixels.sub_(self._mean).div_(self._std), self._targets[index]


def _random_crop(image: Image.Image, pad: int) -> Image.Image:
    """A window of the image's own size out of the image with *pad* black pixels around it."""
    padded = ImageOps.expand(image, border=pad, fill=0)
    left, top = (int(torch.randint(0, 2 * pad + 1, (1,)).item()) for _ in range(2))
    return padded.crop((left, top, left + image.width, top + image.height))


@dataclass
class OfficialTraining:
    """A training under way. Pruned weights are those that are 0 in *model*."""

    model: nn.Module
    optimiser: torch.optim.SGD
    batches: Iterator[tuple[Tensor, Tensor]]
    device: str = "cpu"

    def run(self, steps: int) -> None:
        self.model.train()
        for _ in range(steps):
            inputs, targets = next(self.batches)
            step(self.model, self.optimiser, inputs.to(self.device), targets.to(self.device))


def begin(
    model: nn.Module, images: Dataset[tuple[Tensor, int]], batch: int, workers: int, device: str = "cpu"
) -> OfficialTraining:
    """*model*: on *device*. *workers*: loading processes (the original asks for 4). They live as long as the training,
    and their batches never run out: the original starts new ones every epoch."""
    sampler = RandomSampler(images, replacement=True, num_samples=ENDLESS)  # type: ignore[arg-type]
    loader = DataLoader(images, batch_size=batch, sampler=sampler, num_workers=workers)
    return OfficialTraining(model, sgd(model, lr=0.01), iter(loader), device)


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)


def step(model: nn.Module, optimiser: torch.optim.SGD, inputs: Tensor, targets: Tensor) -> tuple[float, float, float]:
    """One step; returns what the original records of it: loss, top-1 and top-5 in percent."""
    outputs = model(inputs)
    loss = nn.functional.cross_entropy(outputs, targets)
    top1, top5 = _precisions(outputs.detach(), targets)
    record = loss.item(), top1.item(), top5.item()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    zero_gradients_of_zeros(model)
    optimiser.step()
    return record


def zero_gradients_of_zeros(model: nn.Module) -> None:
    """The mask of every layer, made anew from its weights, times its gradient.

    A kept weight that happens to be 0 is thereby pruned for good.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = module.weight.data.abs().clone()
            mask = weight.gt(0).float()
            assert module.weight.grad is not None
            module.weight.grad.data.mul_(mask)


def _precisions(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Share of targets among the first and among the first five guesses, in percent."""
    guesses = outputs.topk(5, dim=1, largest=True, sorted=True).indices.t()
    right = guesses.eq(targets.view(1, -1).expand_as(guesses))
    top1, top5 = (right[:k].reshape(-1).float().sum(0).mul_(100 / len(targets)) for k in (1, 5))
    return top1, top5
