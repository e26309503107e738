"""Test-set evaluation: mean per-sample metric, every sample once, in evaluation mode."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from prunecheck.pruning.task import Task
from prunecheck.training.feed import Feed


@torch.inference_mode()
def evaluate(model: nn.Module, feed: Feed, task: Task, precision: str = "float32") -> float:
    """Mean metric (top-1 accuracy as a fraction) of *model* on *feed*; the model's mode is restored."""
    was_training = model.training
    model.eval()
    correct = 0
    for inputs, targets in feed.plain():
        with computing_in(precision, inputs):
            outputs = model(inputs)
        correct += int(task.metric(outputs.float(), targets))
    model.train(was_training)
    return correct / feed.samples


def computing_in(precision: str, inputs: Tensor) -> AbstractContextManager[object]:
    """The forward pass's arithmetic: ``float32`` unchanged, ``bfloat16`` through torch's autocast."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(inputs.device.type, dtype=getattr(torch, precision))
