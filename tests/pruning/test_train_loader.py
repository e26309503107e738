from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch
from torch.nn.functional import cross_entropy

from prunecheck.errors import PluginError
from prunecheck.pruning.scoring_inputs import Batch
from prunecheck.pruning.train_loader import TrainLoader


def loader(budget: int = 2, batches: int = 3) -> TrainLoader:
    """Batch b of epoch e holds the number 10 e + b."""

    def epoch(number: int) -> Iterator[Batch]:
        for b in range(batches):
            yield torch.full((4, 2), 10.0 * number + b), torch.tensor([0, 1, 0, 1])

    return TrainLoader(epoch, batches, cross_entropy, budget, "mine")


def numbers(one: TrainLoader) -> list[int]:
    return [int(inputs[0, 0]) for inputs, _ in one]


def test_every_iteration_is_the_next_epoch_and_is_counted() -> None:
    one = loader()
    assert (len(one), one.epochs_used) == (3, 0)
    assert numbers(one) == [0, 1, 2]
    assert numbers(one) == [10, 11, 12]
    assert one.epochs_used == 2
    one.validate()


def test_epoch_broken_off_counts_by_its_batches() -> None:
    one = loader(budget=1)
    for _ in one:
        break
    assert one.epochs_used == pytest.approx(1 / 3)
    second = iter(one)
    assert [int(next(second)[0][0, 0]) for _ in range(2)] == [10, 11]
    assert one.epochs_used == pytest.approx(1)
    with pytest.raises(PluginError, match="more than 1 epoch of the training set"):
        next(second)


def test_more_than_the_budget_is_refused_at_its_first_batch() -> None:
    one = loader()
    for _ in range(2):
        numbers(one)
    with pytest.raises(PluginError, match="'mine' asks for more than 2 epochs of the training set, its budget"):
        next(iter(one))
    assert one.epochs_used == 2


def test_refusal_that_a_method_swallows_is_raised_by_validate() -> None:
    one = loader(budget=1)
    for _ in range(3):
        with contextlib.suppress(PluginError):
            numbers(one)
    assert one.epochs_used == 1
    with pytest.raises(PluginError, match=r"raise options\.mask_epochs"):
        one.validate()


def test_loss_is_that_of_the_task() -> None:
    outputs, targets = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    assert torch.equal(loader().loss(outputs, targets), cross_entropy(outputs, targets))
