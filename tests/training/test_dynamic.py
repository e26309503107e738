"""Training with a changing mask: against RigL's algorithm in plain torch, with exact zeros and counts throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunecheck import tensors
from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, METHODS, check, method
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.seeds import stream, torch_stream
from prunecheck.pruning.task import task_named
from prunecheck.training.dynamic import ChangingMasks, UpdateRule
from prunecheck.training.feed import Feed
from prunecheck.training.loop import TrainingState, start, train
from prunecheck.training.recipe import Recipe

from .small import feed, masks_for, network

RECIPE = Recipe(epochs=4, batch_size=5, pad=1, rewind_epoch=1)
STEPS = RECIPE.epochs * RECIPE.steps_per_epoch(23)
TASK = task_named("classification")
OPTIONS: Mapping[str, Any] = {"every": 3, "until": 0.75, "drop": 0.4, "decay": "cosine"}
Tree = dict[str, Tensor]


def changing(model: nn.Module, name: str = "rigl", **changes: Any) -> ChangingMasks:
    """The masks of a training of *model*. ``check``: the name of the check that corrupts the updates."""
    options, checked = {**OPTIONS, **changes.get("options", {})}, changes.get("check")
    rule = UpdateRule(METHODS.get(name), options, layers_of(model), 0, ("label",))
    if checked is not None:
        rule = UpdateRule(rule.method, options, rule.layers, 0, ("label",), CHECKS.get(checked), {}, ("check",))
    return ChangingMasks(rule, masks_for(model), STEPS, "cpu")


def trained(
    model: nn.Module, masks: ChangingMasks | Tree, recipe: Recipe = RECIPE, data: Feed | None = None
) -> tuple[TrainingState, bool]:
    run = start(model, recipe)
    finite = train(
        run,
        data or feed(pad=recipe.pad),
        feed(12, seed=5),
        recipe,
        TASK,
        masks=masks if isinstance(masks, dict) else None,
        changing=None if isinstance(masks, dict) else masks,
        seed=0,
        phase="ticket",
        first=0,
        last=recipe.epochs,
    )
    return run, finite


def naive(model: nn.Module, masks: Tree, growth: str) -> list[dict[str, int]]:
    """Algorithm 1 of Evci et al. 2020 in plain torch, one layer and one weight at a time; returns the counts after
    every update. Every delta T steps before T_end the gradient step is left out; k = f(t) * kept weights of least
    magnitude are dropped, k of the others with the largest gradients (for SET: random numbers) grow and start at 0. As
    in google-research/rigl the momentum of new weights is 0 (``reset_momentum``), and the dropped are candidates too.
    """
    optimiser = torch.optim.SGD(
        model.parameters(), lr=RECIPE.lr, momentum=RECIPE.momentum, weight_decay=RECIPE.weight_decay, foreach=False
    )
    named = {name: model.get_parameter(name) for name in masks}
    table, end, seen, t = feed(pad=RECIPE.pad), 0.75 * STEPS, list[dict[str, int]](), 0
    with torch.no_grad():
        for name, weight in named.items():
            weight *= masks[name]
    for epoch in range(RECIPE.epochs):
        model.train()
        drops = sum(epoch >= round(RECIPE.epochs * drop) for drop in RECIPE.drops)
        optimiser.param_groups[0]["lr"] = RECIPE.lr * RECIPE.gamma**drops
        with torch_stream(0, "ticket", "layers", epoch):
            for inputs, targets in table.epoch(RECIPE, 0, "ticket", epoch):
                optimiser.zero_grad()
                F.cross_entropy(model(inputs), targets).backward()
                if t % 3 == 0 and t < end:
                    fraction = 0.4 / 2 * (1 + math.cos(t * math.pi / end))
                    draws = stream(0, "method", "label", "update", t)
                    for name, weight in named.items():
                        random = draws.random(tuple(weight.shape), dtype="float32")
                        scores = torch.from_numpy(random) if growth == "random" else _gradient(weight).abs()
                        _naive_layer(weight, masks[name], scores.contiguous(), fraction, optimiser)
                    seen.append(counts_of(masks))
                else:
                    for name, weight in named.items():
                        _gradient(weight).mul_(masks[name])
                    optimiser.step()
                t += 1
    return seen


def _gradient(weight: nn.Parameter) -> Tensor:
    assert weight.grad is not None
    return weight.grad


@torch.no_grad()
def _naive_layer(
    weight: nn.Parameter, mask: Tensor, scores: Tensor, fraction: float, optimiser: torch.optim.Optimizer
) -> None:
    size, index = weight.numel(), [tuple(i) for i in torch.ones(weight.shape).nonzero().tolist()]
    active = [i for i in range(size) if mask[index[i]]]
    k = int(len(active) * fraction)
    drop = sorted(active, key=lambda i: (float(weight[index[i]].abs()), -i))[:k]
    left = set(active) - set(drop)
    grow = sorted((i for i in range(size) if i not in left), key=lambda i: (-float(scores[index[i]]), i))[:k]
    buffer = optimiser.state.get(weight, {}).get("momentum_buffer")
    for i in range(size):
        where = index[i]
        new = i in grow and i not in drop
        if new or (i in drop and i not in grow):
            weight[where] = 0
            if buffer is not None:
                buffer[where] = 0
        mask[where] = i in left or i in grow


@pytest.mark.parametrize(("name", "growth"), [("rigl", "gradient"), ("set", "random")])
def test_training_equals_the_published_algorithm(name: str, growth: str) -> None:
    model, other = network(), network()
    masks = changing(model, name)
    trained(model, masks)
    expected = masks_for(other)
    before = counts_of(expected)
    counts = naive(other, expected, growth)
    assert len(counts) == len(masks.history) == 5
    assert all(each == before for each in counts)
    assert all(torch.equal(masks.masks[layer], mask) for layer, mask in expected.items())
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(masks_for(other)[layer], mask) for layer, mask in expected.items())


class Watched(ChangingMasks):
    """Looks at weights, momentum and counts after every step that updates the mask."""

    counts: list[dict[str, int]]

    def update(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> bool:
        before = dict(self.masks)
        weights = {name: model.get_parameter(name) for name in self.masks}
        assert all(not weight[~before[name]].any() for name, weight in weights.items())
        changed = super().update(model, optimiser)
        if changed:
            self.counts.append(counts_of(self.masks))
            for name, weight in weights.items():
                buffer = optimiser.state.get(weight, {}).get("momentum_buffer")
                assert buffer is None or not buffer[~self.masks[name] | ~before[name]].any()
        return changed


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_counts_are_exact_and_new_weights_start_at_zero(name: str) -> None:
    model = network()
    masks = changing(model, name)
    watched = Watched(masks.rule, masks.masks, STEPS, "cpu")
    watched.counts = []
    trained(model, watched)
    assert watched.counts == [counts_of(masks.masks)] * 5
    assert all(not model.get_parameter(layer)[~mask].any() for layer, mask in watched.masks.items())
    assert any(model.get_parameter(layer)[mask & ~masks.masks[layer]].any() for layer, mask in watched.masks.items())


def test_frozen_topology_equals_the_static_training_to_the_bit() -> None:
    model, static = network(), network()
    masks = changing(model, check="frozen_topology")
    trained(model, masks)
    trained(static, masks_for(static))
    assert tensors.fingerprint(dict(model.state_dict())) == tensors.fingerprint(dict(static.state_dict()))
    results = masks.results()
    assert results["ever_kept"] == results["kept_from_start"] == sum(counts_of(masks.masks).values())


def test_rigl_with_random_growth_trains_as_set_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one random stream for the method's own growth and for that of the check."""
    shared = [network(), network()]
    monkeypatch.setattr("prunecheck.training.dynamic.stream", lambda *purpose: stream(0, "shared", purpose[-1]))
    corrupted, own = changing(shared[0], "rigl", check="random_growth"), changing(shared[1], "set")
    trained(shared[0], corrupted)
    trained(shared[1], own)
    first, second = (tensors.fingerprint(dict(model.state_dict())) for model in shared)
    assert first == second
    assert all(torch.equal(corrupted.masks[layer], mask) for layer, mask in own.masks.items())
    kinds = [[{n: r[n] for n in ("step", "dropped", "grown")} for r in each.history] for each in (corrupted, own)]
    assert kinds[0] == kinds[1]
    gradient = network()
    trained(gradient, changing(gradient, "rigl"))
    assert tensors.fingerprint(dict(gradient.state_dict())) != second


def test_history_of_the_mask() -> None:
    model = network()
    masks = changing(model, "set")
    initial = dict(masks.masks)
    trained(model, masks)
    results = masks.results()
    assert [record["step"] for record in results["updates"]] == [0, 3, 6, 9, 12]
    assert all(record["dropped"] == record["grown"] > 0 for record in results["updates"])
    kept = sum(counts_of(initial).values())
    stayed = sum(int((masks.masks[layer] & mask).sum()) for layer, mask in initial.items())
    assert results["kept_from_start"] == stayed < kept
    grown = sum(record["grown"] for record in results["updates"])
    assert kept < results["ever_kept"] <= kept + grown


def test_options_of_the_schedule_decide_when_updates_come() -> None:
    model = network()
    masks = changing(model, options={"every": 8, "until": 1.0})
    trained(model, masks)
    assert [record["step"] for record in masks.history] == [0, 8, 16]


def test_what_an_update_is_offered() -> None:
    seen: list[dict[str, Any]] = []

    @method(when="during", gives="masks")
    def watcher(weights: Tree, gradients: Tree, momentum: Tree, masks: Tree, fraction: float, progress: float) -> Tree:
        seen.append({"w": weights, "g": gradients, "m": momentum, "k": masks, "f": fraction, "p": progress})
        assert all(each.is_contiguous() for tree in (weights, gradients, momentum) for each in tree.values())
        return masks

    model, static = network(), network()
    trained(model, changing(model, "watcher"))
    trained(static, masks_for(static))
    assert [each["p"] for each in seen] == [step / STEPS for step in (0, 3, 6, 9, 12)]
    assert seen[0]["f"] == 0.4
    assert not any(buffer.any() for buffer in seen[0]["m"].values())
    for each in seen[1:]:
        assert any(buffer.any() for buffer in each["m"].values())
        for name, mask in each["k"].items():
            assert not each["w"][name][~mask].any()
            assert not each["m"][name][~mask].any()
            assert each["g"][name][~mask].any()
    assert tensors.fingerprint(dict(model.state_dict())) == tensors.fingerprint(dict(static.state_dict()))


def test_a_check_that_never_changes_an_update_is_refused() -> None:
    @check(at="updates")
    def idle(updates: Tree) -> Tree:
        return updates

    masks = changing(network(), check="idle")
    trained(network(), masks)
    with pytest.raises(PluginError, match="check 'idle' left all 5 updates unchanged"):
        masks.results()


def test_a_diverging_training_ends_as_any_other() -> None:
    model = network()
    masks = changing(model)
    _, finite = trained(model, masks, Recipe(epochs=4, batch_size=5, pad=1, lr=1e30, rewind_epoch=1))
    assert not finite
    assert all(not model.get_parameter(layer)[~mask].any() for layer, mask in masks.masks.items())


def test_a_layer_without_gradient_is_updated_too() -> None:
    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = network(), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.body(x)
            return out

    model = WithHead()
    masks = changing(model)
    trained(model, masks)
    assert counts_of(masks.masks) == counts_of(masks_for(model))
    assert not torch.equal(masks.masks["head.weight"], masks_for(model)["head.weight"])
