"""The definition of a training step, the same on every device.

A CPU calls it step by step (``loop``); a GPU records it once and replays it (``captured``). So nothing here depends on
how it is called.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from prunecheck.pruning.task import Task
from prunecheck.training.dynamic import ChangingMasks
from prunecheck.training.evaluate import computing_in
from prunecheck.training.feed import AnyFeed, Draws, Rows
from prunecheck.training.parallel import Group
from prunecheck.training.recipe import Recipe


class TrainingStep:
    """Gathers and augments a batch, computes loss and gradients, applies masks, updates the weights, counts.

    ``draws``: order and augmentation of the epoch, set before its first step. ``loss_sum``: sum of the losses of the
    epoch's samples so far, float32 []; ``correct``: sum of the task's metric over them, int64 []; both on the device.
    ``group``: the processes that do this step together; ``loss_sum`` and ``correct`` are then this one's share.
    ``changing``: what changes the masks on the way. Such a step decides what it does, so it cannot be recorded.
    """

    draws: Draws

    def __init__(
        self,
        model: nn.Module,
        optimiser: torch.optim.SGD,
        masks: HeldMasks,
        feed: AnyFeed,
        task: Task,
        recipe: Recipe,
        precision: str,
        changing: ChangingMasks | None = None,
        group: Group | None = None,
    ) -> None:
        self._group = group
        self.changing = changing
        self.model, self.optimiser, self.masks, self.feed = model, optimiser, masks, feed
        self._loss, self._metric = task.training_loss(recipe.label_smoothing), task.metric
        self._precision = precision
        device = feed.targets.device
        # summed on the device: reading a number from a GPU at every step would stall it
        self.loss_sum = torch.zeros((), device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)

    def __call__(self, rows: Rows) -> None:
        """Train on the batch at *rows* of the epoch, with the learning rate that the optimiser holds."""
        whole = 0
        if self._group is not None:
            assert isinstance(rows, slice)
            whole, rows = rows.stop - rows.start, self._group.part(rows)
        inputs, targets = self.feed.drawn(self.draws, rows)
        self.optimiser.zero_grad(set_to_none=True)
        with computing_in(self._precision, inputs):
            outputs = self.model(inputs)
        # Under autocast the outputs may be bfloat16, too coarse for a loss.
        outputs = outputs.float()
        loss = self._loss(outputs, targets)
        if self._group is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            # a loss is the mean of its part, and parts differ in size
            (loss * (len(targets) / whole)).backward()  # type: ignore[no-untyped-call]
            self._group.sum_gradients(list(self.model.parameters()))
        if self.changing is not None and self.changing.update(self.model, self.optimiser):
            # An update of the mask takes the place of an optimiser step (see ChangingMasks).
            self.masks = HeldMasks(self.model, self.changing.masks)
            self.masks.apply()
        else:
            # Before the step, so that momentum too stays 0 at pruned positions.
            self.masks.zero_pruned_gradients()
            _start_late_momentum(self.optimiser)
            self.optimiser.step()
        # A loss is the mean of its batch, and batches differ in size.
        self.loss_sum += loss.detach() * len(targets)
        self.correct += self._metric(outputs.detach(), targets)


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
