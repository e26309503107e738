"""Several trainings in lockstep against the ordinary loop, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunecheck import models, tensors
from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.task import task_named
from prunecheck.training import grouping, together
from prunecheck.training.feed import Feed
from prunecheck.training.grouping import Ungroupable, grouped
from prunecheck.training.loop import Epoch, Run, start
from prunecheck.training.recipe import Recipe
from prunecheck.training.together import Course, Member, can_group, train_alone, train_together

from .small import masks_for

SIDE = 8
RECIPE = Recipe(epochs=3, batch_size=16, pad=1, rewind_epoch=1, schedule="linear", warmup=0.5)
COURSE = Course(RECIPE, task_named("classification"), "ticket", 0, RECIPE.epochs)
SAMPLES = 41  # the last batch has 9


@pytest.fixture(autouse=True)
def _nothing_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_PROBED", {})


def convnet() -> nn.Module:
    return models.build("convnet", num_classes=10, in_channels=1, image_size=SIDE)


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(SIDE * SIDE, 40), nn.ReLU(), nn.Linear(40, 12), nn.ReLU(), nn.Linear(12, 10)
    )


def odd() -> nn.Module:
    """Widths that fill no vector, biases, both kinds of pooling, batch norm of a row, a map that is flattened."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 16, 3, padding=1),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 18, bias=False),
        nn.BatchNorm1d(18),
        nn.Linear(18, 10),
    )


def feed(samples: int, seed: int, pad: int = 0) -> Feed:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 256, (samples, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return Feed(inputs, torch.arange(samples) % 10, (0.5,), (0.3,), pad=pad)


def runs(make: Callable[[], nn.Module], count: int = 3, masked: bool = True, samples: int = SAMPLES) -> list[Member]:
    members = []
    for seed in range(count):
        with torch_stream(seed, "init"):
            model = make().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        masks = masks_for(model, seed=seed) if masked else {}
        members.append(Member(start(model, RECIPE), feed(samples, seed, RECIPE.pad), feed(20, 9), masks, seed))
    return members


def alone(members: list[Member], course: Course = COURSE) -> list[bool]:
    return [train_alone(member, course) for member in members]


def bits(members: list[Member]) -> list[Any]:
    return [together._bits(member.run) for member in members]


@pytest.fixture
def lockstep(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many members every epoch had that was trained in lockstep from now on."""
    seen: list[int] = []
    real = together._epoch

    def spy(lockstep: Any, members: Any, course: Course) -> Any:
        if members[0].train_feed.samples == SAMPLES:
            seen.append(len(members))
        return real(lockstep, members, course)

    monkeypatch.setattr(together, "_epoch", spy)
    monkeypatch.setattr(together, "_few", lambda *_: SAMPLES - 2)  # the probe's epochs are told by their size
    return seen


@pytest.mark.parametrize("masked", [True, False], ids=["masks", "dense"])
@pytest.mark.parametrize("make", [convnet, perceptron, odd])
def test_together_is_alone_to_the_bit(make: Callable[[], nn.Module], masked: bool, lockstep: list[int]) -> None:
    one, other = runs(make, masked=masked), runs(make, masked=masked)
    assert train_together(one, COURSE) == [True] * 3
    assert lockstep == [3] * RECIPE.epochs
    assert alone(other) == [True] * 3
    assert bits(one) == bits(other)


def test_pruned_weights_stay_at_zero_and_networks_share_no_memory_afterwards() -> None:
    members = runs(convnet)
    train_together(members, COURSE)
    storages = set()
    for member in members:
        for name, mask in member.masks.items():
            assert not member.run.model.get_parameter(name)[~mask].any()
        storages |= {tensor.untyped_storage().data_ptr() for tensor in member.run.model.state_dict().values()}
    assert len(storages) == sum(len(member.run.model.state_dict()) for member in members)


def test_cut_and_taken_up_again(lockstep: list[int]) -> None:
    one, other = runs(convnet), runs(convnet)
    train_together(one, replace(COURSE, last=1))
    again = [replace(member, run=resumed(member.run)) for member in one]
    train_together(again, COURSE)
    assert lockstep == [3] * RECIPE.epochs
    alone(other)
    assert bits(again) == bits(other)


def resumed(run: Run) -> Run:
    """As from a checkpoint: weights, momentum and history in a new network."""
    fresh = start(convnet().to(memory_format=torch.channels_last), RECIPE)  # type: ignore[call-overload]
    fresh.model.load_state_dict(tensors.clone(run.model.state_dict()))
    for new, old in zip(fresh.model.parameters(), run.model.parameters(), strict=True):
        fresh.optimiser.state[new]["momentum_buffer"] = run.optimiser.state[old]["momentum_buffer"].clone()
    fresh.history = list(run.history)
    return fresh


def test_what_comes_after_an_epoch_sees_what_it_would_see_alone() -> None:
    seen: dict[str, list[Any]] = {"one": [], "other": []}

    def watch(name: str) -> Callable[[Run], None]:
        return lambda run: seen[name].append((len(run.history), together._bits(run)))

    train_together([replace(member, after_epoch=watch("one")) for member in runs(convnet, 2)], COURSE)
    alone([replace(member, after_epoch=watch("other")) for member in runs(convnet, 2)])
    assert sorted(seen["one"], key=str) == sorted(seen["other"], key=str)
    assert len(seen["one"]) == 2 * RECIPE.epochs


def test_one_that_diverges_stops_as_it_would_alone_and_harms_no_other(lockstep: list[int]) -> None:
    def wild(members: list[Member]) -> list[Member]:
        train_together(members, replace(COURSE, last=1))
        with torch.no_grad():
            members[1].run.model.get_parameter("5.weight").mul_(1e38)
        return members

    one, other = wild(runs(perceptron)), wild(runs(perceptron))
    lockstep.clear()
    assert train_together(one, COURSE) == alone(other) == [True, False, True]
    assert lockstep == [3]  # begun, and taken back
    assert [len(member.run.history) for member in one] == [RECIPE.epochs, 2, RECIPE.epochs]
    assert repr(bits(one)) == repr(bits(other))  # a loss that is no number is not even equal to itself


def test_a_kernel_that_gives_other_bits_is_found_out(monkeypatch: pytest.MonkeyPatch, lockstep: list[int]) -> None:
    real = F.batch_norm

    def rounded(images: Tensor, *rest: Any) -> Tensor:
        return real(images, *rest) * (1 + 2**-23)

    monkeypatch.setattr(
        grouping.F, "batch_norm", lambda *args: (rounded if args[0].shape[1] == 64 * 3 else real)(*args)
    )
    one, other = runs(convnet), runs(convnet)
    assert not can_group(one, COURSE)
    train_together(one, COURSE)
    assert not lockstep
    monkeypatch.undo()
    alone(other)
    assert bits(one) == bits(other)


def test_the_probe_leaves_the_networks_alone() -> None:
    members = runs(convnet)
    before = bits(members)
    assert can_group(members, COURSE)
    assert bits(members) == before
    assert not members[0].run.history


def test_the_probe_ends_with_a_batch_of_the_size_of_the_last() -> None:
    sizes: list[int] = []
    task = COURSE.task

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        sizes.append(len(targets))
        return task.loss(outputs, targets)

    can_group(runs(perceptron, 2, samples=100), replace(COURSE, task=replace(task, loss=loss)))
    assert sizes == [16] * 4 + [4] * 2 + [16, 16, 4] * 2  # together, then one after the other


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (nn.Dropout(0.5), "is not known to act on every network alone"),
        (nn.Softmax(1), "is not known to act on every network alone"),
        (nn.Sigmoid(), "is not known to act on every network alone"),
    ],
)
def test_what_is_not_known_is_not_grouped(change: nn.Module, reason: str) -> None:
    networks = [nn.Sequential(*perceptron().children(), change) for _ in range(2)]  # type: ignore[arg-type]
    with pytest.raises(Ungroupable, match=reason):
        grouped(networks, torch.zeros(2, 1, SIDE, SIDE))


def test_networks_that_differ_are_not_grouped() -> None:
    with pytest.raises(Ungroupable, match="not the same network"):
        grouped([perceptron(), odd()], torch.zeros(2, 1, SIDE, SIDE))


def test_only_runs_at_the_same_epoch_go_together() -> None:
    members = runs(perceptron, 2)
    members[0].run.history.append(Epoch(0, 1.0, 0.5, 0.5))
    assert not can_group(members, COURSE)


def test_bfloat16_goes_alone() -> None:
    assert not can_group(runs(perceptron, 2), replace(COURSE, precision="bfloat16"))
