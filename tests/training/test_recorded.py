"""Recorded steps against the ordinary loop, bit for bit; trainings that join, leave, diverge and stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunecheck import tensors
from prunecheck.pruning.task import task_named
from prunecheck.training.loop import Training, start, step_by_step, train_all
from prunecheck.training.recipe import Recipe
from prunecheck.training.recorded import Recorder, Unrecordable, one_by_one

from .fake_gpu import FakeGpu
from .small import feed, masks_for, network

RECIPE = Recipe(epochs=4, batch_size=5, pad=1, rewind_epoch=1, lr=0.125, gamma=0.5)
"""Its learning rates are exact in float32, which a device holds them in."""


def training(seed: int = 0, recipe: Recipe = RECIPE, model: Callable[[], nn.Module] = network, **how: Any) -> Training:
    """Another network, other masks, another order for every seed."""
    torch.manual_seed(seed)
    net = model() if model is not network else network(seed)
    masks = masks_for(net, seed=seed)
    feeds = feed(pad=recipe.pad), feed(12, seed=5)
    how = {"seed": seed, "phase": "ticket", "first": 0, "last": recipe.epochs} | how
    return Training(start(net, recipe), *feeds, recipe, task_named("classification"), masks, **how)


def finish(trainings: list[Training], run_epoch: Any) -> list[Training]:
    return list(train_all(trainings, run_epoch))


def outcome(one: Training) -> tuple[str, str, bool]:
    # as text, since a loss that is not a number is not equal to itself
    return tensors.fingerprint(one.state.model.state_dict()), repr(one.state.history), one.finite


def reference(seed: int, **how: Any) -> tuple[str, str, bool]:
    one = training(seed, **how)
    finish([one], step_by_step)
    return outcome(one)


RECIPES = {
    "plain": RECIPE,
    "nesterov": Recipe(epochs=2, batch_size=4, pad=1, lr=0.125, nesterov=True, weight_decay=0.5),
    "no momentum": Recipe(epochs=2, batch_size=5, pad=0, lr=0.125, momentum=0.0, flip=False),
    "last batch is larger": Recipe(epochs=2, batch_size=11, pad=1, lr=0.125),
    "one batch": Recipe(epochs=2, batch_size=50, pad=1, lr=0.125),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_recorded_steps_and_steps_by_device_counters_have_the_bits_of_the_loop(recipe: Recipe) -> None:
    wanted = reference(0, recipe=recipe)
    gpu = FakeGpu()
    for run_epoch in (Recorder(gpu), one_by_one):
        one = training(0, recipe=recipe)
        finish([one], run_epoch)
        assert outcome(one) == wanted
    assert gpu.replayed > len(recipe.batches(23))


@pytest.mark.parametrize("count", [2, 4, 8])
def test_trainings_recorded_together_have_the_bits_of_each_alone(count: int) -> None:
    gpu = FakeGpu()
    group = [training(seed) for seed in range(count)]
    finish(group, Recorder(gpu))
    assert [outcome(one) for one in group] == [reference(seed) for seed in range(count)]
    assert gpu.recordings == [count, count]  # batches of 5 and of 3, once for all epochs


def test_bfloat16_and_recorded_together_have_the_bits_of_each_alone() -> None:
    group = [training(seed, precision="bfloat16") for seed in range(2)]
    finish(group, Recorder(FakeGpu()))
    assert [outcome(one) for one in group] == [reference(seed, precision="bfloat16") for seed in range(2)]
    assert outcome(group[0]) != reference(0)


def test_training_that_diverges_leaves_and_the_others_go_on_undisturbed() -> None:
    class Exploding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(1)
            with torch.no_grad():
                self.inner[8].weight.mul_(1e30)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    gpu = FakeGpu()
    group = [training(0), training(1, model=Exploding), training(2)]
    ended = finish(group, Recorder(gpu))
    assert ended[0] is group[1]
    assert not group[1].finite
    assert len(group[1].state.history) == 1
    assert outcome(group[1]) == reference(1, model=Exploding)
    assert [outcome(group[0]), outcome(group[2])] == [reference(0), reference(2)]
    assert gpu.recordings == [3, 3, 2, 2]
    for name, mask in group[1].masks.items():
        assert bool((group[1].state.model.get_parameter(name)[~mask] == 0).all())


def test_trainings_that_begin_and_end_at_other_epochs_do_not_disturb_each_other() -> None:
    spans = [{"first": 0, "last": 4}, {"first": 2, "last": 4}, {"first": 0, "last": 1}]
    group = [training(seed, **span) for seed, span in enumerate(spans)]
    ended = finish(group, Recorder(FakeGpu()))
    assert ended == [group[2], group[1], group[0]]
    assert [outcome(one) for one in group] == [reference(seed, **span) for seed, span in enumerate(spans)]


def test_preparing_changes_nothing() -> None:
    group = [training(seed) for seed in range(2)]
    before = [tensors.fingerprint(one.state.model.state_dict()) for one in group]
    recorder = Recorder(FakeGpu())
    recorder.prepare(group)
    recorder.seconds(group)
    assert [tensors.fingerprint(one.state.model.state_dict()) for one in group] == before
    finish(group, recorder)
    assert [outcome(one) for one in group] == [reference(seed) for seed in range(2)]


class Dropping(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(network(), nn.Dropout(0.5))


class Waiting(nn.Sequential):
    """Reads a number from the device in every forward pass."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x)
        return out * 2 if out.sum().item() > 0 else out


class Counting(nn.Sequential):
    """Does something else from the seventh batch on."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.batches = 0

    def forward(self, x: Tensor) -> Tensor:
        self.batches += 1
        out: Tensor = super().forward(x)
        return out * 2 if self.batches > 6 else out


class Replacing(nn.Sequential):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x)
        self.mean = 0.5 * self.mean + out.detach().mean(0)
        return out - self.mean


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Dropping, "random numbers"),
        (lambda: Waiting(network()), "waiting for the GPU"),
        (lambda: Counting(network()), "attributes"),
        (lambda: Replacing(network()), "buffers"),
    ],
    ids=["dropout", "synchronises", "counts its calls", "replaces its buffers"],
)
def test_network_that_cannot_be_replayed_is_found_out_with_the_reason(model: Callable[[], nn.Module], why: str) -> None:
    one = training(0, model=model)
    with pytest.raises(Unrecordable, match=why):
        Recorder(FakeGpu()).prepare([one])


def test_recording_that_computes_something_else_is_not_used() -> None:
    one = training(0)

    class Wrong(FakeGpu):
        def record(self, rounds: Any) -> Any:
            replays = super().record(rounds)
            return [lambda replay=replay: [replay(), one.step.loss_sum.add_(1e-6)] for replay in replays]

    with pytest.raises(Unrecordable, match="something else"):
        Recorder(Wrong()).prepare([one])


@pytest.mark.parametrize("model", [Dropping, lambda: Replacing(network())], ids=["dropout", "replaces its buffers"])
def test_network_that_cannot_be_recorded_trains_step_by_step_as_in_the_loop(model: Callable[[], nn.Module]) -> None:
    one = training(0, model=model)
    finish([one], one_by_one)
    assert outcome(one) == reference(0, model=model)


def test_training_resumed_at_any_epoch_ends_with_the_same_bits_in_another_group() -> None:
    wanted = [reference(seed) for seed in range(2)]
    group = [training(seed) for seed in range(2)]
    recorder = Recorder(FakeGpu())
    for _ in range(2):  # two epochs, then the process ends
        for one in group:
            one.begin_epoch()
        recorder(group)
        for one in group:
            one.end_epoch()
    resumed = []
    for one in group:
        other = training(one.seed)
        other.state.model.load_state_dict(one.state.model.state_dict())
        for parameter, old in zip(other.state.model.parameters(), one.state.model.parameters(), strict=True):
            buffer = torch.empty_like(parameter).copy_(one.state.optimiser.state[old]["momentum_buffer"])
            other.state.optimiser.state[parameter]["momentum_buffer"] = buffer
        other.state.history = list(one.state.history)
        resumed.append(other)
    finish([*resumed, training(7)], Recorder(FakeGpu()))
    assert [outcome(one) for one in resumed] == wanted
