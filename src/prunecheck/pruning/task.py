"""A task is a loss and a metric; nothing outside this file assumes that it is classification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from prunecheck.errors import StudyError
from prunecheck.text import unknown


@dataclass(frozen=True)
class Task:
    """``loss(outputs, targets)``: mean over the batch, differentiable. ``metric(outputs, targets)``: sum over the batch
    of each sample's score in [0, 1]; its mean over the test set is what is judged. ``smoothed(outputs, targets, s)``:
    the loss of targets of which the share s is spread evenly over all classes."""

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    metric: Callable[[Tensor, Tensor], Tensor]
    smoothed: Callable[[Tensor, Tensor, float], Tensor]

    def training_loss(self, smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss of a training; methods always score with ``loss``."""
        return (lambda outputs, targets: self.smoothed(outputs, targets, smoothing)) if smoothing else self.loss


def _correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == targets).sum()


def _smoothed(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return F.cross_entropy(outputs, targets, label_smoothing=smoothing)


TASKS: dict[str, Task] = {"classification": Task("classification", F.cross_entropy, _correct, _smoothed)}


def task_named(name: str) -> Task:
    if name not in TASKS:
        raise StudyError(unknown("task", name, TASKS))
    return TASKS[name]
