"""Test-set evaluation: mean per-sample metric, every sample once, in evaluation mode."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from prunecheck.pruning.task import Task
from prunecheck.training.feed import AnyFeed
from prunecheck.training.parallel import Group


@torch.inference_mode()
def evaluate(
    model: nn.Module, feed: AnyFeed, task: Task, precision: str = "float32", group: Group | None = None
) -> float:
    """Mean metric (top-1 accuracy as a fraction) of *model* on *feed*; the model's mode is restored. ``group``: the
    processes that call this together and share the work."""
    was_training = model.training
    model.eval()
    # summed on the device: reading a number from a GPU after every batch would stall it
    correct = torch.zeros((), dtype=torch.int64, device=feed.targets.device)
    for inputs, targets in feed.plain() if group is None else feed.plain(part=(group.rank, group.size)):
        with computing_in(precision, inputs):
            outputs = model(inputs)
        correct += task.metric(outputs.float(), targets)
    if group is not None:
        group.sum(correct)
    model.train(was_training)
    return int(correct) / feed.samples


def computing_in(precision: str, inputs: Tensor) -> AbstractContextManager[object]:
    """The forward pass's arithmetic: ``bfloat16`` through torch's autocast, the others unchanged."""
    if precision in ("float32", "tf32"):
        return nullcontext()
    return torch.autocast(inputs.device.type, dtype=getattr(torch, precision))
