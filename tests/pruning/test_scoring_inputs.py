"""What a method scores on: enough samples of every class, a private copy, a loss that can be derived twice."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from prunecheck.errors import DataError, ModelError
from prunecheck.pruning.scoring_inputs import ScoringLoss, balanced_samples, scoring_copy
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.task import task_named
from tests.training.small import feed, network

TASK = task_named("classification")


def labels(*counts: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def test_classes_are_drawn_anew_for_every_batch() -> None:
    targets = labels(*[8] * 40)
    draws = balanced_samples(targets, 2, 3, stream(0, "s"), classes=10)
    chosen = [np.unique(targets[draw], return_counts=True) for draw in draws]
    assert all(len(found) == 10 and set(counts) == {2} for found, counts in chosen)
    assert len({tuple(found) for found, _ in chosen}) == 3
    assert len(np.unique(np.concatenate(draws))) == 60
    every = balanced_samples(targets, 2, 3, stream(0, "s"), classes=40)
    assert all(len(draw) == 80 for draw in every)


def test_balanced_draws_are_disjoint_and_sorted_by_class() -> None:
    targets = labels(9, 7, 8)
    draws = balanced_samples(targets, 2, 3, stream(0, "s"))
    assert [targets[draw].tolist() for draw in draws] == [[0, 0, 1, 1, 2, 2]] * 3
    chosen = np.concatenate(draws)
    assert len(set(chosen.tolist())) == 18


def test_exactly_enough_is_enough() -> None:
    targets = labels(6, 6, 6)
    draws = balanced_samples(targets, 3, 2, stream(0, "s"))
    assert sorted(np.concatenate(draws).tolist()) == list(range(18))


def test_too_few_samples_of_a_class_are_refused() -> None:
    with pytest.raises(DataError, match=r"scoring needs 6 samples of every class, class 1 has 5\. Lower scoring\.samp"):
        balanced_samples(labels(6, 5, 6), 3, 2, stream(0, "s"))


def test_the_draw_depends_on_the_stream_alone() -> None:
    targets = labels(9, 9)
    a, b, c = (np.concatenate(balanced_samples(targets, 2, 2, stream(seed, "s"))) for seed in (0, 0, 1))
    assert a.tolist() == b.tolist() != c.tolist()


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_scoring_copy_leaves_the_model_alone() -> None:
    model = network().eval()
    before = state_of(model)
    twin = scoring_copy(model)
    inputs, targets = next(feed().plain())
    F.cross_entropy(twin(inputs), targets).backward()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training
    assert twin.training


def test_scoring_copy_uses_batch_statistics_without_running_ones() -> None:
    model = network()
    inputs = next(feed().plain())[0]
    for _ in range(5):
        model.train()(inputs + 3)  # running statistics far from the batch's
    expected = copy.deepcopy(model).train()(inputs)
    twin = scoring_copy(model)
    torch.testing.assert_close(twin(inputs), expected)
    torch.testing.assert_close(twin(inputs), expected)
    assert not [name for name in twin.state_dict() if "running" in name]


def test_the_other_kind_normalises_by_the_running_statistics() -> None:
    model = network()
    inputs = next(feed().plain())[0]
    model.train()(inputs + 3)
    torch.testing.assert_close(scoring_copy(model, "running")(inputs), copy.deepcopy(model).eval()(inputs))


def test_a_model_that_cannot_be_copied() -> None:
    model = network()
    model.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(ModelError, match="Sequential cannot be copied for scoring"):
        scoring_copy(model)


def loss_and_weights() -> tuple[ScoringLoss, dict[str, Tensor], nn.Module]:
    model = scoring_copy(network().double())
    table = feed(24)
    batches = [table.select(np.arange(start, start + 8)) for start in (0, 8, 16)]
    batches = [(inputs.double(), targets) for inputs, targets in batches]
    weights = {name: p.detach().clone() for name, p in model.named_parameters() if p.ndim > 1}
    return ScoringLoss(model, batches, TASK), weights, model


def test_the_loss_is_summed_over_the_batches() -> None:
    loss, weights, model = loss_and_weights()
    table = feed(24)
    expected = sum(
        F.cross_entropy(model(inputs.double()), targets)
        for inputs, targets in (table.select(np.arange(start, start + 8)) for start in (0, 8, 16))
    )
    torch.testing.assert_close(loss(weights), expected)


def test_the_temperature_divides_the_outputs() -> None:
    loss, weights, model = loss_and_weights()
    table = feed(24)
    expected = sum(
        F.cross_entropy(functional_call(model, weights, (inputs.double(),)) / 200, targets)
        for inputs, targets in (table.select(np.arange(start, start + 8)) for start in (0, 8, 16))
    )
    torch.testing.assert_close(loss(weights, 200.0), expected)


def test_it_depends_on_the_weights_it_is_given_and_leaves_the_models() -> None:
    loss, weights, model = loss_and_weights()
    before = state_of(model)
    doubled = {name: 2 * weight + 0.1 for name, weight in weights.items()}
    assert loss(doubled).item() != loss(weights).item()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_first_and_second_derivatives_agree_with_differences() -> None:
    loss, weights, _ = loss_and_weights()
    generator = torch.Generator().manual_seed(0)
    towards = {n: torch.randn(w.shape, generator=generator, dtype=w.dtype) for n, w in weights.items()}
    names = list(weights)

    def along(step: float) -> float:
        return loss({name: weights[name] + step * towards[name] for name in names}).item()

    leaves = [weights[name].clone().requires_grad_() for name in names]
    slope = torch.autograd.grad(loss(dict(zip(names, leaves, strict=True))), leaves, create_graph=True)
    first = sum((g * towards[name]).sum() for g, name in zip(slope, names, strict=True))
    assert isinstance(first, Tensor)
    bend = torch.autograd.grad(first, leaves)
    second = sum((g * towards[name]).sum() for g, name in zip(bend, names, strict=True))
    h = 1e-6  # small: the network has kinks
    assert first.item() == pytest.approx((along(h) - along(-h)) / (2 * h), rel=1e-4)
    slopes = []
    for step in (h, -h):
        moved = [(weights[name] + step * towards[name]).requires_grad_() for name in names]
        found = torch.autograd.grad(loss(dict(zip(names, moved, strict=True))), moved)
        slopes.append(sum(float((g * towards[name]).sum()) for g, name in zip(found, names, strict=True)))
    assert float(second) == pytest.approx((slopes[0] - slopes[1]) / (2 * h), rel=1e-3)


def test_loss_works_with_torch_func() -> None:
    loss, weights, _ = loss_and_weights()
    slope = torch.func.grad(loss)(weights)
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    plain = torch.autograd.grad(loss(leaves), list(leaves.values()))
    for found, expected in zip(slope.values(), plain, strict=True):
        torch.testing.assert_close(found, expected)
