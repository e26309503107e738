"""The training loop.

Masks are explicit: pruned weights start at 0 and their gradients are zeroed before every optimiser step, so weight,
gradient and momentum of a pruned position are exactly 0 throughout, and a kept weight that passes through 0 stays kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.task import Task
from prunecheck.training.evaluate import computing_in, evaluate
from prunecheck.training.feed import Feed
from prunecheck.training.recipe import Recipe


@dataclass(frozen=True)
class Epoch:
    """The record of an epoch. Accuracies are fractions; ``train`` values are running means of the epoch."""

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class TrainingState:
    """The state of a training between two epochs: the content of a checkpoint."""

    model: nn.Module
    optimiser: torch.optim.SGD
    history: list[Epoch]


def start(model: nn.Module, recipe: Recipe) -> TrainingState:
    """The state before the first epoch of *recipe*."""
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        # The fused form updates all weights in one pass over memory.
        fused=True,
    )
    return TrainingState(model, optimiser, [])


def train(
    state: TrainingState,
    train_feed: Feed,
    test_feed: Feed,
    recipe: Recipe,
    task: Task,
    *,
    masks: Mapping[str, Tensor] | None,
    seed: int,
    phase: str,
    shuffle: bool = True,
    first: int,
    last: int,
    precision: str = "float32",
    after_epoch: Callable[[TrainingState], None] = lambda _: None,
) -> bool:
    """Train epochs ``first <= epoch < last`` of the recipe's schedule in place, from *state* on; True if
    every loss and weight stayed finite. A training that diverges stops at the end of that epoch.

    *phase* names the random stream of order and augmentation; without *shuffle* the order is that of the data.
    ``masks``: True = keep. ``precision``: ``bfloat16`` for products in bfloat16 (torch.autocast); weights, momentum and
    loss stay float32.
    """
    model, optimiser = state.model, state.optimiser
    held = HeldMasks(model, masks or {})
    # The weights a ticket starts from are dense: pruned positions still hold their values.
    held.apply()
    steps, device = recipe.steps_per_epoch(train_feed.samples), train_feed.targets.device
    loss_of = task.training_loss(recipe.label_smoothing)
    # The epochs of a checkpoint's history are finished and are not trained again.
    for epoch in range(first + len(state.history), last):
        model.train()
        # summed on the device: reading a number from a GPU at every step would stall it
        loss_sum, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        # A stream per epoch, so that a resumed training draws the same dropout without any saved state.
        with torch_stream(seed, phase, "layers", epoch):
            for step, (inputs, targets) in enumerate(train_feed.epoch(recipe, seed, phase, epoch, shuffle=shuffle)):
                optimiser.param_groups[0]["lr"] = recipe.lr_at(epoch, step, steps)
                optimiser.zero_grad(set_to_none=True)
                with computing_in(precision, inputs):
                    outputs = model(inputs)
                # Under autocast the outputs may be bfloat16, too coarse for a loss.
                outputs = outputs.float()
                loss = loss_of(outputs, targets)
                loss.backward()  # type: ignore[no-untyped-call]
                # Before the step, so that momentum too stays 0 at pruned positions.
                held.zero_pruned_gradients()
                _start_late_momentum(optimiser)
                optimiser.step()
                # A loss is the mean of its batch, and batches differ in size.
                loss_sum += loss.detach() * len(targets)
                correct += task.metric(outputs.detach(), targets)
        train_loss, train_accuracy = float(loss_sum) / train_feed.samples, int(correct) / train_feed.samples
        # the weights too: an error in the last step of an epoch is in no loss of that epoch
        finite = math.isfinite(train_loss) and all_finite(model)
        if not finite:
            held.apply()  # 0 times an infinite gradient is NaN, and pruned weights are 0 in every artefact
        test_accuracy = evaluate(model, test_feed, task, precision)
        state.history.append(Epoch(epoch, train_loss, train_accuracy, test_accuracy))
        if not finite:
            # No checkpoint of a diverged training: it ends here, and its results are final.
            return False
        after_epoch(state)
    return True


def _start_late_momentum(optimiser: torch.optim.SGD) -> None:
    """Momentum of 0 for weights whose first gradient comes later than that of others (stochastic depth, experts).

    torch's fused SGD fails where only some of the weights of a step have momentum. Starting from 0 is what plain SGD
    does: the first momentum is the first gradient, to the bit.
    """
    parameters = optimiser.param_groups[0]["params"]
    if not 0 < len(optimiser.state) < len(parameters) or optimiser.param_groups[0]["momentum"] == 0:
        return
    for parameter in parameters:
        if parameter.grad is not None and parameter not in optimiser.state:
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


@torch.no_grad()
def all_finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


class HeldMasks:
    """Keeps pruned weights at 0: one fused multiplication of the gradients per step."""

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor]) -> None:
        self._weights = [model.get_parameter(name) for name in masks]
        self._masks = [mask.to(weight.device) for mask, weight in zip(masks.values(), self._weights, strict=True)]
        # same strides as the weights, else the fused multiplication falls back to one tensor at a time
        self._factors = [
            torch.empty_like(weight, requires_grad=False).copy_(mask)
            for mask, weight in zip(self._masks, self._weights, strict=True)
        ]

    @torch.no_grad()
    def apply(self) -> None:
        """Set every pruned weight to 0, also where it is not finite."""
        for weight, mask in zip(self._weights, self._masks, strict=True):
            weight.masked_fill_(~mask, 0)

    def zero_pruned_gradients(self) -> None:
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        # The fused product needs a gradient for every weight; a layer that was not used in this batch has none.
        if len(gradients) == len(self._factors) and gradients:
            torch._foreach_mul_(gradients, self._factors)
        else:
            for weight, factor in zip(self._weights, self._factors, strict=True):
                if weight.grad is not None:
                    weight.grad.mul_(factor)
