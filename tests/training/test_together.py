"""How many trainings a GPU does at a time, with a simulated device; the number changes no bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunecheck.pruning import METHODS
from prunecheck.pruning.layers import layers_of
from prunecheck.training.dynamic import ChangingMasks, UpdateRule
from prunecheck.training.loop import Training, train_all
from prunecheck.training.together import MOST_TOGETHER, Together

from .fake_gpu import FakeGpu, OutOfMemory
from .small import feed, masks_for, network
from .test_recorded import RECIPE, outcome, reference, training


def group(count: int = 8) -> list[Training]:
    return [training(seed) for seed in range(count)]


def finish(together: Together, trainings: list[Training], kind: str = "kind") -> list[Training]:
    return list(together.train(trainings, kind))


@pytest.fixture(scope="module")
def alone() -> list[tuple[str, str, bool]]:
    return [reference(seed) for seed in range(8)]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_number_at_a_time_changes_no_bit(count: int, alone: list[tuple[str, str, bool]]) -> None:
    trainings, gpu = group(), FakeGpu()
    assert len(finish(Together(gpu, count), trainings)) == 8
    assert [outcome(one) for one in trainings] == alone
    assert max(gpu.recordings) == count


@pytest.mark.parametrize(
    ("cost", "best"),
    [
        (lambda _: 1.0, 8),  # eight cost what one costs
        (lambda k: 1.0 * k, 1),  # nothing is gained
        (lambda k: max(1.0, k / 4), 4),  # full with four
        (lambda k: max(1.0, 0.99 * k / 2), 2),
    ],
    ids=["more is free", "nothing gained", "full with four", "full with two"],
)
def test_probe_takes_the_number_that_is_fastest(cost: object, best: int, alone: list[tuple[str, str, bool]]) -> None:
    gpu = FakeGpu(cost=cost)  # type: ignore[arg-type]
    together, trainings = Together(gpu), group()
    finish(together, trainings)
    assert together.found == {"kind": best}
    assert gpu.recordings[-1] == best
    assert [outcome(one) for one in trainings] == alone


def test_probe_is_done_once_for_a_kind() -> None:
    gpu = FakeGpu(cost=lambda _: 1.0)
    together = Together(gpu)
    finish(together, group())
    made = len(gpu.recordings)
    finish(together, group())
    assert len(gpu.recordings) - made == 2  # batches of two sizes, recorded once
    finish(together, group(), "another")
    assert together.found == {"kind": MOST_TOGETHER, "another": MOST_TOGETHER}


def test_probe_with_few_trainings_does_not_decide_for_later_ones() -> None:
    together = Together(FakeGpu(cost=lambda _: 1.0))
    finish(together, group(2))
    assert together.found == {}
    finish(together, group())
    assert together.found == {"kind": 8}


@pytest.mark.parametrize("capacity", [1, 3, 5])
def test_memory_limits_the_number(capacity: int, alone: list[tuple[str, str, bool]]) -> None:
    gpu = FakeGpu(capacity=capacity, cost=lambda _: 1.0)
    together, trainings = Together(gpu), group()
    finish(together, trainings)
    assert 1 <= together.found["kind"] <= capacity
    assert [outcome(one) for one in trainings] == alone


def test_number_that_was_given_is_halved_where_memory_is_too_small(alone: list[tuple[str, str, bool]]) -> None:
    gpu, trainings = FakeGpu(capacity=3), group()
    finish(Together(gpu, 8), trainings)
    assert max(gpu.recordings) == 2
    assert [outcome(one) for one in trainings] == alone


def test_too_little_memory_for_one_is_an_error() -> None:
    with pytest.raises(OutOfMemory):
        finish(Together(FakeGpu(capacity=0)), group(2))


def test_network_that_cannot_be_recorded_is_trained_with_the_reason() -> None:
    def dropping() -> nn.Module:
        return nn.Sequential(network(), nn.Dropout(0.5))

    trainings = [training(seed, model=dropping) for seed in range(2)]
    gpu = FakeGpu()
    finish(Together(gpu), trainings)
    assert [outcome(one) for one in trainings] == [reference(seed, model=dropping) for seed in range(2)]
    assert all("random numbers" in one.eager_reason for one in trainings)
    assert gpu.recordings == []


def test_training_that_is_over_is_not_trained() -> None:
    one = training(0, last=0)
    before = [parameter.clone() for parameter in one.state.model.parameters()]
    assert finish(Together(FakeGpu()), [one]) == [one]
    assert all(torch.equal(a, b) for a, b in zip(before, one.state.model.parameters(), strict=True))


def test_training_whose_mask_changes_is_done_beside_the_recorded_ones(alone: list[tuple[str, str, bool]]) -> None:
    def dynamic() -> Training:
        net = network(1)
        steps = RECIPE.epochs * RECIPE.steps_per_epoch(feed().samples)
        rule = UpdateRule(METHODS.get("rigl"), {"every": 2}, layers_of(net), 0, ("label",))
        return training(1, changing=ChangingMasks(rule, masks_for(net, seed=1), steps, "cpu"))

    expected, one, others = dynamic(), dynamic(), group(2)
    list(train_all([expected]))
    assert finish(Together(FakeGpu(), 8), [others[0], one, others[1]])[0] is one
    assert [outcome(other) for other in others] == alone[:2]
    assert outcome(one) == outcome(expected) != alone[1]
    assert one.eager_reason == "its mask changes while it trains"
