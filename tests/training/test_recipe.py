"""Schedules against the settings of the official code and against schedules written out by hand."""

from __future__ import annotations

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
