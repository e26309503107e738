from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunecheck.errors import StudyError
from prunecheck.pruning.task import task_named
from prunecheck.training.evaluate import evaluate
from prunecheck.training.feed import Feed

from .small import MEAN, STD, feed, images, network

TASK = task_named("classification")


def test_accuracy_is_that_of_every_sample_once() -> None:
    inputs, targets = images(701)  # two parts of 500 at most
    table, model = Feed(inputs, targets, MEAN, STD), network()
    model.train()(table.select(torch.arange(50).numpy())[0])  # statistics of its own
    model.eval()
    right = sum(int(model(table.select(torch.tensor([i]).numpy())[0]).argmax()) == int(targets[i]) for i in range(701))
    assert evaluate(model, table, TASK) == right / 701


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_restores_the_model(training: bool) -> None:
    model = network().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, feed(), TASK)
    assert model.training is training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_network_of_nans_is_measured() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full((len(x), 3), torch.nan)

    assert 0 <= evaluate(Broken(), feed(), TASK) <= 1


def test_an_unknown_task() -> None:
    with pytest.raises(StudyError, match="Did you mean 'classification'"):
        task_named("clasification")
