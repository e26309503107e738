"""The loop against a naive one written with torch alone; zeros that stay zero; divergence that is noticed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunecheck import tensors
from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.task import task_named
from prunecheck.training.feed import Feed
from prunecheck.training.loop import TrainingState, start, train
from prunecheck.training.recipe import RECIPES, Recipe
from prunecheck.training.step import HeldMasks

from .small import feed, masks_for, network

RECIPE = Recipe(epochs=4, batch_size=5, pad=1, rewind_epoch=1)
FAST = replace(RECIPES["fast"], epochs=4, batch_size=5, lr=0.05, pad=1, rewind_epoch=1)
TASK = task_named("classification")
Masks = dict[str, Tensor]


def trained(
    model: nn.Module,
    masks: Masks | None = None,
    recipe: Recipe = RECIPE,
    first: int = 0,
    after: Callable[[TrainingState], None] = lambda _: None,
    seed: int = 0,
    precision: str = "float32",
) -> tuple[TrainingState, bool]:
    run = start(model, recipe)
    finite = train(
        run,
        feed(pad=recipe.pad),
        feed(12, seed=5),
        recipe,
        TASK,
        masks=masks,
        seed=seed,
        phase="ticket",
        first=first,
        last=recipe.epochs,
        precision=precision,
        after_epoch=after,
    )
    return run, finite


def twin(model: nn.Module, masks: Masks, recipe: Recipe, first: int = 0) -> nn.Module:
    """Plain torch: the unfused optimiser, weights and gradients multiplied by 0 one tensor at a time."""
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        foreach=False,
    )
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            named[name] *= mask
    table = feed(pad=recipe.pad)
    drops = [round(recipe.epochs * drop) for drop in recipe.drops]
    for epoch in range(first, recipe.epochs):
        model.train()
        optimiser.param_groups[0]["lr"] = recipe.lr * recipe.gamma ** sum(epoch >= drop for drop in drops)
        with torch_stream(0, "ticket", "layers", epoch):
            for step, (inputs, targets) in enumerate(table.epoch(recipe, 0, "ticket", epoch)):
                if recipe.schedule == "triangular":
                    optimiser.param_groups[0]["lr"] = recipe.lr_at(epoch, step, recipe.steps_per_epoch(table.samples))
                optimiser.zero_grad()
                spread_cross_entropy(model(inputs), targets, recipe.label_smoothing).backward()
                for name, mask in masks.items():
                    gradient = named[name].grad
                    assert gradient is not None
                    gradient *= mask
                optimiser.step()
    return model


def spread_cross_entropy(outputs: Tensor, targets: Tensor, share: float) -> Tensor:
    """Cross-entropy with *share* of every target spread evenly over the classes, the own one included."""
    wanted = (1 - share) * F.one_hot(targets, outputs.shape[1]) + share / outputs.shape[1]
    return -(wanted * outputs.log_softmax(1)).sum(1).mean()


def assert_close(a: nn.Module, b: nn.Module) -> None:
    for (name, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("recipe", [RECIPE, FAST], ids=["plain", "fast"])
@pytest.mark.parametrize("first", [0, 1])
def test_loop_equals_naive_implementation(first: int, recipe: Recipe) -> None:
    masks = masks_for(network())
    run, finite = trained(network(), masks, recipe, first)
    assert finite
    assert_close(run.model, twin(network(), masks, recipe, first))


def test_without_masks_it_is_ordinary_training() -> None:
    assert_close(trained(network())[0].model, twin(network(), {}, RECIPE))


def test_training_is_reproducible_and_depends_on_the_seed() -> None:
    masks = masks_for(network())
    a, b, other = (trained(network(), masks, seed=seed)[0] for seed in (0, 0, 1))
    assert tensors.fingerprint(a.model.state_dict()) == tensors.fingerprint(b.model.state_dict())
    assert tensors.fingerprint(a.model.state_dict()) != tensors.fingerprint(other.model.state_dict())
    assert a.history == b.history


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=2, batch_size=5, pad=0, weight_decay=0.1),
        Recipe(epochs=2, batch_size=5, pad=0, weight_decay=0.1, nesterov=True),
        replace(FAST, epochs=2),
    ],
    ids=["plain", "nesterov", "fast"],
)
def test_pruned_weights_gradients_and_momenta_are_0_after_every_step(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    masks = masks_for(model)
    steps = 0
    real = torch.optim.SGD.step

    def step(self: torch.optim.SGD, closure: None = None) -> None:
        nonlocal steps
        real(self, closure)
        steps += 1
        for name, mask in masks.items():
            weight = model.get_parameter(name)
            assert weight.grad is not None
            for value in (weight, weight.grad, self.state[weight]["momentum_buffer"]):
                assert bool((value[~mask] == 0).all())
            assert bool((weight[mask] != 0).all())

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    trained(model, masks, recipe)
    assert steps == 10


def test_weights_that_were_not_0_where_pruned_are_set_so_before_the_first_step() -> None:
    model = network()
    masks = masks_for(model)
    run, _ = trained(model, masks, Recipe(epochs=1, batch_size=5, lr=1e-30, weight_decay=0, pad=0))
    untouched = dict(network().named_parameters())
    for name, mask in masks.items():
        assert torch.equal(run.model.get_parameter(name), untouched[name] * mask)


def test_a_kept_weight_that_passes_through_0_stays_kept() -> None:
    """The official code takes weights that are 0 for pruned ones; here the mask decides."""
    model = network()
    masks = masks_for(model)
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name)[mask] = 0
    trained(model, masks, Recipe(epochs=1, batch_size=5, pad=0))
    weight = model.get_parameter("8.weight")
    assert bool((weight[masks["8.weight"]] != 0).all())
    assert bool((weight[~masks["8.weight"]] == 0).all())


def test_layer_without_gradient_trains() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = network(), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    model = Idle()
    masks = masks_for(model)
    trained(model, masks, Recipe(epochs=1, batch_size=5, pad=0))
    assert all(bool((model.get_parameter(name)[~mask] == 0).all()) for name, mask in masks.items())


@pytest.mark.parametrize("skipped", [1, 2, 7])
def test_weight_whose_first_gradient_comes_later_trains_as_in_plain_sgd(skipped: int) -> None:
    """Stochastic depth and mixtures of experts: torch's fused SGD fails where only some weights have momentum."""

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.branch, self.batches = network(), nn.Linear(3, 3), 0
            nn.init.constant_(self.branch.weight, 0.1)
            nn.init.zeros_(self.branch.bias)

        def forward(self, x: Tensor) -> Tensor:
            out = self.used(x)
            self.batches += self.training
            return out + self.branch(out) if self.batches > skipped else out

    run, finite = trained(Late(), {})
    assert finite
    assert_close(run.model, twin(Late(), {}, RECIPE))
    assert not bool((run.model.get_parameter("branch.weight") == 0.1).all())


def test_history_holds_every_epoch() -> None:
    model = network()
    seen: list[int] = []
    run, _ = trained(model, after=lambda run: seen.append(len(run.history)))
    assert seen == [1, 2, 3, 4]
    assert [epoch.epoch for epoch in run.history] == [0, 1, 2, 3]
    for epoch in run.history:
        assert epoch.train_loss > 0
        assert 0 <= epoch.train_accuracy <= 1
        assert math.isclose(epoch.test_accuracy * 12, round(epoch.test_accuracy * 12))
    assert model.training


def test_the_recorded_loss_is_the_mean_over_the_samples_not_over_the_batches() -> None:
    model = network()
    recipe = Recipe(epochs=1, batch_size=20, lr=1e-30, weight_decay=0, pad=0, flip=False)  # batches of 20 and 3
    total = correct = 0.0
    for inputs, targets in feed().epoch(recipe, 0, "ticket", 0):
        outputs = model.train()(inputs)
        total += F.cross_entropy(outputs, targets, reduction="sum").item()
        correct += int((outputs.argmax(1) == targets).sum())
    run, _ = trained(network(), recipe=recipe)
    assert run.history[0].train_loss == pytest.approx(total / 23, rel=1e-5)
    assert run.history[0].train_accuracy == pytest.approx(correct / 23)


@pytest.mark.parametrize("lr", [1e6, 1e20, 1e38])
def test_divergence_is_noticed_within_an_epoch_and_zeros_stay(lr: float) -> None:
    model = network()
    masks = masks_for(model)
    epochs: list[int] = []
    recipe = Recipe(epochs=6, batch_size=5, pad=0, lr=lr, weight_decay=1.0)
    run, finite = trained(model, masks, recipe, after=lambda run: epochs.append(len(run.history)))
    assert not finite
    assert len(run.history) == len(epochs) + 1 <= 3
    assert 0 <= run.history[-1].test_accuracy <= 1
    for name, mask in masks.items():
        assert bool((model.get_parameter(name)[~mask] == 0).all())


def test_a_last_step_that_ruins_the_weights_counts_as_divergence() -> None:
    """Its loss was finite, and no later step is there to show it."""
    model = network()
    masks = masks_for(model)
    run, finite = trained(model, masks, Recipe(epochs=1, batch_size=50, pad=0, lr=1e38, weight_decay=1e6))
    assert math.isfinite(run.history[0].train_loss)
    assert not finite
    for name, mask in masks.items():
        assert bool((model.get_parameter(name)[~mask] == 0).all())


@pytest.mark.parametrize("recipe", [RECIPE, FAST], ids=["plain", "fast"])
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_training_can_be_resumed_after_any_epoch(epochs: int, recipe: Recipe) -> None:
    masks = masks_for(network())
    whole, _ = trained(network(), masks, recipe)

    class Stop(Exception):
        pass

    def stop(run: TrainingState) -> None:
        if len(run.history) == epochs:
            raise Stop

    model = network()
    run = start(model, recipe)
    feeds = feed(pad=1), feed(12, seed=5)
    how = {"masks": masks, "seed": 0, "phase": "ticket", "first": 0, "last": recipe.epochs}
    with pytest.raises(Stop):
        train(run, *feeds, recipe, TASK, **how, after_epoch=stop)  # type: ignore[arg-type]
    assert len(run.history) == epochs
    train(run, *feeds, recipe, TASK, **how)  # type: ignore[arg-type]
    assert tensors.fingerprint(run.model.state_dict()) == tensors.fingerprint(whole.model.state_dict())
    assert run.history == whole.history


def test_dropout_follows_the_streams_too() -> None:
    def net() -> nn.Module:
        return nn.Sequential(network(), nn.Dropout(0.5))

    torch.manual_seed(1)
    a, _ = trained(net())
    before = torch.get_rng_state()
    b, _ = trained(net())
    assert torch.equal(before, torch.get_rng_state())
    assert tensors.fingerprint(a.model.state_dict()) == tensors.fingerprint(b.model.state_dict())


def test_masks_have_the_strides_of_the_weights() -> None:
    model = network()
    held = HeldMasks(model, masks_for(model))
    conv = model.get_parameter("3.weight")
    assert held._factors[1].stride() == conv.stride() != conv.contiguous().stride()


def test_a_feed_is_not_changed_by_training() -> None:
    table: Feed = feed(pad=1)
    before = next(table.plain())[0].clone()
    run = start(network(), RECIPE)
    train(run, table, table, RECIPE, TASK, masks=None, seed=0, phase="p", first=0, last=1)
    assert torch.equal(before, next(table.plain())[0])


def test_bfloat16_products_keep_weights_in_float32_and_zeros_at_zero() -> None:
    full, half, again = network(), network(), network()
    masks = masks_for(full)
    (one, _), (other, finite), (third, _) = (
        trained(model, masks, precision=precision)
        for model, precision in ((full, "float32"), (half, "bfloat16"), (again, "bfloat16"))
    )
    assert finite
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
    assert all(not half.get_parameter(name)[~mask].any() for name, mask in masks.items())
    assert tensors.to_bytes(half.state_dict()) == tensors.to_bytes(again.state_dict())
    assert other.history == third.history
    losses = [[epoch.train_loss for epoch in run.history] for run in (one, other)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
