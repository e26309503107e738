"""Schedules against the settings of the official code and against schedules written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prunecheck.training.recipe import RECIPES, Recipe, recipe_from, usual_recipe


def test_the_papers_schedule_drops_at_80_and_120_of_160() -> None:
    recipe = RECIPES["cifar"]
    rates = [recipe.lr_at(epoch, step, 782) for epoch in range(160) for step in (0, 781)]
    assert rates[:160] == [0.1] * 160
    assert rates[160:240] == pytest.approx([0.01] * 80)
    assert rates[240:] == pytest.approx([0.001] * 80)


@pytest.mark.parametrize(("name", "milestones"), [("cifar", [80, 120]), ("tiny_imagenet", [150, 225])])
def test_the_same_as_torchs_multi_step_schedule(name: str, milestones: list[int]) -> None:
    recipe = RECIPES[name]
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma=0.1)
    for epoch in range(recipe.epochs):
        assert recipe.lr_at(epoch, 5, 10) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()


def test_the_settings_of_the_official_code() -> None:
    recipe = RECIPES["cifar"]
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum) == (160, 64, 0.1, 0.9)
    assert (recipe.weight_decay, recipe.nesterov, recipe.pad, recipe.flip) == (1e-4, False, 4, True)
    assert RECIPES["tiny_imagenet"].epochs == 300
    assert recipe.steps_per_epoch(50_000) == 782


@pytest.mark.parametrize("epochs", [1, 2, 3, 6, 7])
def test_short_schedules_drop_too_and_never_rise(epochs: int) -> None:
    recipe = Recipe(epochs=epochs)
    rates = [recipe.lr_at(epoch, 0, 1) for epoch in range(epochs)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 0.1 or epochs == 1
    assert all(rate > 0 for rate in rates)


def test_linear_falls_to_nothing_after_rising() -> None:
    recipe = Recipe(epochs=10, schedule="linear", warmup=2, lr=0.4)
    steps = 5
    rates = [recipe.lr_at(epoch, step, steps) for epoch in range(10) for step in range(steps)]
    peak = rates.index(max(rates))
    assert peak == 10  # the first step after two epochs
    assert rates[peak] == pytest.approx(0.4, rel=1e-2)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[0] < 0.01
    assert rates[5] == pytest.approx(0.2, rel=1e-2)
    assert rates[-1] == pytest.approx(0.4 * (10 - 9.8) / 8)
    assert all(rate > 0 for rate in rates)


def test_linear_without_warm_up_starts_at_the_top() -> None:
    recipe = Recipe(epochs=4, schedule="linear", lr=1.0)
    assert [recipe.lr_at(epoch, 0, 1) for epoch in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])


def test_steps_with_warm_up() -> None:
    recipe = Recipe(epochs=8, warmup=1, drops=(0.5,))
    assert recipe.lr_at(0, 0, 10) < 0.001
    assert recipe.lr_at(0, 5, 10) == pytest.approx(0.05, rel=1e-2)
    assert recipe.lr_at(1, 0, 10) == 0.1
    assert recipe.lr_at(4, 0, 10) == pytest.approx(0.01)


def naive_triangle(recipe: Recipe, steps: int) -> list[float]:
    """Every rate of a triangular schedule, read off two straight lines drawn through three points."""
    points = [(0.0, recipe.lr_start), (recipe.peak * recipe.epochs, 1.0), (recipe.epochs, recipe.lr_end)]
    times = np.arange(recipe.epochs * steps) / steps
    return [float(rate) for rate in recipe.lr * np.interp(times, *zip(*points, strict=True))]


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPES["fast"],
        Recipe(epochs=10, schedule="triangular", lr=0.4, peak=0.23, lr_end=0.07),
        Recipe(epochs=7, schedule="triangular", peak=0.5, lr_start=0.0),
        Recipe(epochs=3, schedule="triangular", peak=1.0, lr_start=0.5),
    ],
    ids=["fast", "end above 0", "start at 0", "rising only"],
)
def test_triangular_equals_two_straight_lines(recipe: Recipe) -> None:
    steps = 9
    rates = [recipe.lr_at(epoch, step, steps) for epoch in range(recipe.epochs) for step in range(steps)]
    assert rates == pytest.approx(naive_triangle(recipe, steps))
    assert rates[0] == pytest.approx(recipe.lr * recipe.lr_start)
    assert min(rates[1:]) > 0
    assert max(rates) <= recipe.lr


def test_triangular_with_its_peak_at_the_start_falls_only() -> None:
    recipe = Recipe(epochs=4, schedule="triangular", lr=1.0, peak=0.0)
    assert [recipe.lr_at(epoch, 0, 1) for epoch in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])


def test_fast_takes_a_fifth_of_the_papers_epochs_in_half_the_steps() -> None:
    fast, paper = RECIPES["fast"], RECIPES["cifar"]
    assert 5 * fast.epochs == paper.epochs
    assert fast.rewind_epoch / fast.epochs == paper.rewind_epoch / paper.epochs
    assert 10 * fast.epochs * fast.steps_per_epoch(50_000) <= paper.epochs * paper.steps_per_epoch(50_000)
    assert (fast.schedule, fast.nesterov, fast.flip, fast.label_smoothing) == ("triangular", True, "alternating", 0.1)


def test_a_recipe_without_new_options_has_the_dictionary_it_always_had() -> None:
    """Dictionaries are part of keys: a new option appears where it is set, and nowhere else."""
    old = {
        "epochs", "batch_size", "lr", "schedule", "drops", "gamma", "warmup", "momentum", "nesterov", "weight_decay",
        "pad", "flip", "rewind_epoch",
    }  # fmt: skip
    assert all(set(RECIPES[name].to_dict()) == old for name in ("cifar", "tiny_imagenet", "short"))
    for name, value in {"peak": 0.1, "lr_start": 0.1, "lr_end": 0.1, "label_smoothing": 0.1}.items():
        assert Recipe(**{name: value}).to_dict() == Recipe().to_dict() | {name: value}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RECIPES)
def test_to_dict_and_back(name: str) -> None:
    import json

    recipe = RECIPES[name]
    again = recipe_from(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert hash(again) == hash(recipe)


def test_the_usual_recipe_of_a_data_set() -> None:
    assert [usual_recipe(data) for data in ("cifar10", "cifar100", "tiny_imagenet", "digits", "anything")] == [
        "cifar",
        "cifar",
        "tiny_imagenet",
        "short",
        "short",
    ]
