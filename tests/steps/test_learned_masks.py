"""What a method that learns its masks trains on, and how its epochs are counted on the way to the mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prunecheck.pruning import METHODS
from prunecheck.steps import perform
from prunecheck.steps.context import train_loader
from prunecheck.study import Step
from prunecheck.training.recipe import Recipe
from tests.runner import tiny
from tests.steps.lab import Lab, lab

EDGE = {"name": "edge_popup", "options": {"mask_epochs": 2}}
MOVEMENT = {"name": "movement", "options": {"mask_epochs": 2}}
OFFICIAL_HALF = {
    "name": "half_dataset",
    "options": {"which": "first", "matched_steps": False, "batch": 10, "shuffle": False},
}
RECIPE = {"epochs": 1, "rewind_epoch": 0, "batch_size": 30, "pad": 1, "flip": True, "label_smoothing": 0.1}


def learning(folder: Path, **changes: Any) -> Lab:
    usual: dict[str, Any] = {"methods": [EDGE], "checks": ["random_labels"], "training": RECIPE}
    return lab(folder, **usual | changes)


def step_of(found: Lab, check: str = "clean") -> Step:
    return found.step(found.arm("edge_popup", check).mask or "")


def epochs_of(found: Lab, step: Step, epochs: int = 2) -> list[list[tuple[Tensor, Tensor]]]:
    loader = train_loader(found.context, step.params, METHODS.get("edge_popup"))
    assert loader is not None
    return [list(loader) for _ in range(epochs)]


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]], part: int) -> bool:
    return len(one) == len(other) and all(torch.equal(a[part], b[part]) for a, b in zip(one, other, strict=True))


def test_batches_and_augmentation_are_those_of_the_study(tmp_path: Path) -> None:
    found = learning(tmp_path)
    first, second = epochs_of(found, step_of(found))
    feed = found.context.train_feed(step_of(found).params, pad=1)
    expected = list(feed.epoch(Recipe(batch_size=30, pad=1, flip=True), 0, "mask round 1", 1))
    assert [len(targets) for _, targets in first] == [30, 30]
    assert same(second, expected, 0)
    assert same(second, expected, 1)
    assert not same(first, second, 1), "every epoch has an order of its own"


def test_the_same_seed_gives_the_same_batches_and_another_seed_others(tmp_path: Path) -> None:
    found = learning(tmp_path, seeds=2)
    other = found.step(found.arm("edge_popup", seed=1).mask or "")
    once, again, others = (epochs_of(found, step) for step in (step_of(found), step_of(found), other))
    assert all(same(a, b, part) for a, b in zip(once, again, strict=True) for part in (0, 1))
    assert not same(once[0], others[0], 1)


@pytest.mark.parametrize(
    ("check", "inputs_stay", "targets_stay"),
    [("random_labels", True, False), ("random_pixels", False, True), ("corrupted_data", False, False)],
)
def test_check_of_the_data_corrupts_what_the_mask_is_learned_from(
    check: str, inputs_stay: bool, targets_stay: bool, tmp_path: Path
) -> None:
    found = learning(tmp_path, checks=[check])
    clean, corrupted = (epochs_of(found, step_of(found, name))[0] for name in ("clean", check))
    assert (same(clean, corrupted, 0), same(clean, corrupted, 1)) == (inputs_stay, targets_stay)


def test_half_of_the_data_as_published_keeps_its_order_and_its_fewer_steps(tmp_path: Path) -> None:
    found = learning(tmp_path, checks=[OFFICIAL_HALF])
    step = step_of(found, "half_dataset")
    first, second = epochs_of(found, step)
    assert sum(len(targets) for _, targets in first) == 30
    assert same(first, second, 1)
    half, _ = found.context.training_set(step.params)
    assert len(half) == 30


def test_loss_is_the_smoothed_one_of_the_study(tmp_path: Path) -> None:
    found = learning(tmp_path)
    loader = train_loader(found.context, step_of(found).params, METHODS.get("edge_popup"))
    assert loader is not None
    outputs, targets = torch.randn(5, 10), torch.arange(5)
    smoothed = torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=0.1)
    assert torch.equal(loader.loss(outputs, targets), smoothed)


@pytest.mark.parametrize("name", ["snip", "random_ticket", "lr_rewinding"])
def test_other_methods_get_no_training_set(name: str, tmp_path: Path) -> None:
    found = learning(tmp_path, methods=[name]).perform()
    assert train_loader(found.context, {}, METHODS.get(name)) is None
    assert not any("train_loader" in step.params for step in found.plan.steps.values())
    assert "mask_epochs" not in found.facts(found.arm(name).mask or "")


def test_epochs_are_recorded_through_scores_and_every_check(tmp_path: Path) -> None:
    checks = ["random_labels", "invert", "layerwise_rearrange", "layerwise_weight_shuffle"]
    found = learning(tmp_path, methods=[EDGE, MOVEMENT], checks=checks).perform()
    used = {
        (arm.method, arm.check): found.facts(arm.mask)["mask_epochs"] for arm in found.plan.arms if arm.mask is not None
    }
    assert len(used) == 5 + 4  # edge_popup gives masks: there are no scores to invert
    assert set(used.values()) == {2.0}


def test_rounds_add_up_and_see_other_batches(tmp_path: Path) -> None:
    found = learning(tmp_path, methods=[EDGE | {"rounds": 2}]).perform()
    last = step_of(found)
    first = found.step(last.inputs["previous"])
    assert [found.facts(step.key)["mask_epochs"] for step in (first, last)] == [2.0, 4.0]
    assert not same(epochs_of(found, first)[0], epochs_of(found, last)[0], 1)
    kept = [found.tree(step.key, "masks") for step in (first, last)]
    assert not any(bool((kept[1][name] & ~kept[0][name]).any()) for name in kept[0])


def test_learned_mask_has_the_same_bytes_when_it_is_learned_again(tmp_path: Path) -> None:
    one, other = (learning(tmp_path / name).perform() for name in ("one", "other"))
    for check in ("clean", "random_labels"):
        key = step_of(one, check).key
        assert one.bytes(key, "masks.safetensors") == other.bytes(key, "masks.safetensors")


def test_method_that_stops_early_is_recorded_with_what_it_used(tmp_path: Path) -> None:
    text = """
        from prunecheck import method

        @method
        def half_an_epoch(weights, train_loader, mask_epochs=3):
            next(iter(train_loader))
            return {name: weight.abs() for name, weight in weights.items()}
    """
    found = learning(tmp_path, methods=["half_an_epoch"], plugins=[tiny.plugin(tmp_path, text)]).perform()
    assert found.facts(found.arm("half_an_epoch").mask or "")["mask_epochs"] == 0.5


def test_interrupted_store_has_no_half_learned_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = learning(tmp_path)
    step = step_of(found)

    def interrupted(*_: object) -> Tensor:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("prunecheck.pruning.train_loader.TrainLoader.loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            perform(step, found.context)
    assert not found.context.store.has(step.key)
    perform(step, found.context)
    assert found.facts(step.key)["mask_epochs"] == 2.0
