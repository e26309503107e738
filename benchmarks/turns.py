"""What the processes of the training benchmark do when it is their turn, on images and labels made up on the spot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.crew import Turns

if TYPE_CHECKING:
    from torch import Tensor, nn

SPARSITY = 0.9
OFFICIAL_THREADS = 2
KERNEL_CALLS = 24
KERNEL_FLOPS = 3 * 2 * 32 * 16 * 16 * 64 * 64 * 9
"""of one call: 3x3 convolution, 32 images 16 x 16, 64 to 64 channels, forward and both gradients"""


@dataclass(frozen=True)
class Regime:
    """What is trained. ``steps`` make one turn; turns are taken for ``seconds``."""

    model: str
    side: int
    batch: int
    steps: int
    seconds: float
    target: float | None = None

    @property
    def title(self) -> str:
        return f"{self.model}, {self.side} x {self.side}, batch {self.batch}"

    @property
    def flops(self) -> float:
        """Of training on one image: a backward pass costs two forward passes."""
        from prunecheck.models import MODELS

        entry = MODELS[self.model]
        return 3 * entry.mflops * 1e6 * (self.side / entry.image_size) ** 2


def make_ours(regime: Regime, store: Path) -> Turns:
    """One worker, settled as a study settles it: one epoch with masks, one without, or only the kernel."""
    from prunecheck import random_ticket
    from prunecheck.runner.worker import WorkerConfig, initialise

    initialise(WorkerConfig(store, None, ()))
    masks = random_ticket(network(regime), SPARSITY)
    return {"masked": epochs(regime, masks), "plain": epochs(regime, None), "kernel": kernel()}


def epochs(
    regime: Regime, masks: Mapping[str, Tensor] | None, model: nn.Module | None = None, precision: str = "float32"
) -> Callable[[], None]:
    """Each call trains one more epoch of ``regime.steps`` steps with our loop and feed. *model*: another than the
    regime's network."""
    import torch

    from prunecheck.pruning.task import task_named
    from prunecheck.training.feed import Feed
    from prunecheck.training.loop import start, train
    from prunecheck.training.recipe import Recipe

    images, targets = made_up(regime, regime.batch * regime.steps)
    inputs, labels = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(targets)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    feed = Feed(inputs, labels, mean, std, pad=4)
    judged = Feed(inputs[:2], labels[:2], mean, std)  # the official loop is timed without its test pass
    recipe = Recipe(epochs=10**9, batch_size=regime.batch, lr=0.01)
    task = task_named("classification")
    run = start(model or network(regime).to(memory_format=torch.channels_last), recipe)

    def one_more() -> None:
        last = len(run.history) + 1
        how: dict[str, Any] = {"seed": 0, "phase": "benchmark", "first": 0, "last": last, "precision": precision}
        train(run, feed, judged, recipe, task, masks=masks, **how)

    return one_more


def make_official(regime: Regime, loaders: int) -> Turns:
    """The official loop on two threads, with *loaders* processes that prepare its batches."""
    import torch

    from benchmarks.official_loop import PilImages, begin
    from prunecheck import random_ticket

    torch.set_num_threads(OFFICIAL_THREADS)
    model = network(regime)
    for name, mask in random_ticket(model, SPARSITY).items():
        model.get_parameter(name).data.mul_(mask)
    training = begin(model, PilImages(*made_up(regime, 2000)), regime.batch, loaders)
    return {"steps": lambda: training.run(regime.steps)}


def kernel() -> Callable[[], None]:
    """The dense convolution alone: what no network of such convolutions can outrun."""
    import torch

    def tensor(*shape: int) -> Tensor:
        return torch.rand(shape).contiguous(memory_format=torch.channels_last).requires_grad_()

    images, weight = tensor(32, 64, 16, 16), tensor(64, 64, 3, 3)
    slope = tensor(32, 64, 16, 16).detach()

    def work() -> None:
        for _ in range(KERNEL_CALLS):
            out = torch.nn.functional.conv2d(images, weight, padding=1)
            torch.autograd.grad(out, (images, weight), slope)

    return work


def network(regime: Regime) -> nn.Module:
    """The regime's network, the same weights for everyone."""
    from prunecheck import models
    from prunecheck.pruning.seeds import torch_stream

    with torch_stream(0, "init"):
        return models.build(regime.model, num_classes=10, in_channels=3, image_size=regime.side)


def made_up(regime: Regime, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images [N, side, side, 3] and int64 labels [N]."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (samples, regime.side, regime.side, 3), dtype=np.uint8)
    return images, rng.integers(0, 10, samples)
