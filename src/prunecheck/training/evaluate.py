"""The judge of a network: mean credit over the test set, every sample once, in evaluation mode."""

from __future__ import annotations

import torch
from torch import nn

from prunecheck.training.feed import Feed
from prunecheck.training.task import Task


@torch.inference_mode()
def evaluate(model: nn.Module, feed: Feed, task: Task) -> float:
    """Mean credit (top-1 accuracy as a fraction) of *model* on *feed*; the model's mode is restored."""
    was_training = model.training
    model.eval()
    credit = sum(int(task.credit(model(inputs), targets)) for inputs, targets in feed.plain())
    model.train(was_training)
    return credit / feed.samples
