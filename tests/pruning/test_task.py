"""Losses of a task against torch and against targets written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunecheck.errors import StudyError
from prunecheck.pruning.task import task_named


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 0.99])
def test_smoothed_loss_and_gradient_equal_torchs(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = (3 * torch.randn(7, 4, generator=generator)).requires_grad_()
    targets = torch.tensor([0, 1, 2, 3, 0, 1, 1])
    ours = task_named("classification").training_loss(smoothing)(outputs, targets)
    torchs = nn.CrossEntropyLoss(label_smoothing=smoothing)(outputs, targets)
    assert torch.equal(ours, torchs)
    gradients = [torch.autograd.grad(loss, outputs)[0] for loss in (ours, torchs)]
    assert torch.equal(*gradients)
    wanted = torch.full((7, 4), smoothing / 4)
    wanted[torch.arange(7), targets] += 1 - smoothing
    torch.testing.assert_close(gradients[0], (outputs.detach().softmax(1) - wanted) / 7)


def test_without_smoothing_the_training_loss_is_the_loss_of_scoring() -> None:
    task = task_named("classification")
    assert task.training_loss(0.0) is task.loss


def test_unknown_task_is_named() -> None:
    with pytest.raises(StudyError, match="clasification"):
        task_named("clasification")
