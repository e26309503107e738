"""From where each kind of ticket starts: the initial weights, those of epoch k, or the trained ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck import tensors
from prunecheck.models import build
from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.task import task_named
from prunecheck.steps import perform, training
from prunecheck.training.loop import start, train
from prunecheck.training.recipe import recipe_from

from .lab import Lab, lab

K, EPOCHS = 2, 4
TRAINING = {"epochs": EPOCHS, "rewind_epoch": K, "batch_size": 30}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """State and first epoch of every ticket at the moment its training begins."""
    seen: list[dict[str, Any]] = []
    real = training.Training

    def spy(state: Any, *args: Any, **how: Any) -> Any:
        seen.append({"state": tensors.clone(state.model.state_dict()), "first": how["first"], "last": how["last"]})
        return real(state, *args, **how)

    monkeypatch.setattr(training, "Training", spy)
    return seen


def room_for(folder: Path, method: dict[str, Any] | str, **changes: Any) -> Lab:
    return lab(folder, **({"methods": [method], "training": TRAINING} | changes))


def ticket_begins(room: Lab, label: str, begun: list[dict[str, Any]], check: str = "clean") -> dict[str, Any]:
    step = room.step(room.arm(label, check).train)
    room.perform_inputs(step)
    begun.clear()
    perform(step, room.context)
    (found,) = begun
    return found


def initial(seed: int = 0) -> tensors.Tree:
    with torch_stream(seed, "init"):
        return dict(build("convnet", num_classes=10, in_channels=1, image_size=8).state_dict())


def after_epochs(room: Lab, epochs: int) -> tensors.Tree:
    """The dense network after that many epochs, by the loop alone."""
    (step,) = [s for s in room.kinds("pretrain") if s.params["until"] == EPOCHS]
    recipe = recipe_from(step.params["recipe"])
    model = room.context.model(step.params)
    train(
        start(model, recipe),
        *room.context.feeds(step.params, recipe.pad),
        recipe,
        task_named("classification"),
        masks=None,
        seed=step.params["seed"],
        phase="pretrain",
        first=0,
        last=epochs,
    )
    return dict(model.state_dict())


def same(a: tensors.Tree, b: tensors.Tree) -> bool:
    return tensors.fingerprint(a) == tensors.fingerprint(b)


def test_a_lottery_ticket_starts_from_the_initial_state_biases_and_statistics_included(
    begun: list[dict[str, Any]], tmp_path: Path
) -> None:
    room = room_for(tmp_path, "lottery_ticket")
    found = ticket_begins(room, "lottery_ticket", begun)
    assert (found["first"], found["last"]) == (0, EPOCHS)
    assert same(found["state"], initial())
    assert bool((found["state"]["bn1.running_mean"] == 0).all())
    assert not same(initial(), initial(seed=1))


def test_weight_rewinding_starts_from_epoch_k(begun: list[dict[str, Any]], tmp_path: Path) -> None:
    room = room_for(tmp_path, "weight_rewinding")
    found = ticket_begins(room, "weight_rewinding", begun)
    assert (found["first"], found["last"]) == (K, EPOCHS)
    assert same(found["state"], after_epochs(room, K))
    assert not same(found["state"], after_epochs(room, K + 1))


@pytest.mark.parametrize("k", [0, 1, 3])
def test_weight_rewinding_to_another_epoch_than_the_recipes(
    k: int, begun: list[dict[str, Any]], tmp_path: Path
) -> None:
    room = room_for(tmp_path, {"name": "weight_rewinding", "rewind_epoch": k})
    found = ticket_begins(room, "weight_rewinding", begun)
    assert found["first"] == k
    assert same(found["state"], after_epochs(room, k) if k else initial())


def test_learning_rate_rewinding_starts_from_the_trained_state_on_the_schedule_of_epoch_k(
    begun: list[dict[str, Any]], tmp_path: Path
) -> None:
    room = room_for(tmp_path, "lr_rewinding")
    found = ticket_begins(room, "lr_rewinding", begun)
    assert (found["first"], found["last"]) == (K, EPOCHS)
    assert same(found["state"], after_epochs(room, EPOCHS))


def test_a_hybrid_ticket_starts_where_learning_rate_rewinding_does(begun: list[dict[str, Any]], tmp_path: Path) -> None:
    room = room_for(tmp_path, "hybrid_ticket")
    assert same(ticket_begins(room, "hybrid_ticket", begun)["state"], after_epochs(room, EPOCHS))


@pytest.mark.parametrize("method", ["random_ticket", "snip", "magnitude_init"])
def test_methods_at_initialisation_start_there(method: str, begun: list[dict[str, Any]], tmp_path: Path) -> None:
    found = ticket_begins(room_for(tmp_path, method), method, begun)
    assert found["first"] == 0
    assert same(found["state"], initial())


def test_shuffled_weights_are_those_of_the_ticket_moved_within_their_layers(
    begun: list[dict[str, Any]], tmp_path: Path
) -> None:
    room = room_for(tmp_path, "weight_rewinding", checks=["layerwise_weight_shuffle"])
    clean = ticket_begins(room, "weight_rewinding", begun)["state"]
    moved = ticket_begins(room, "weight_rewinding", begun, "layerwise_weight_shuffle")["state"]
    masks = room.tree(room.arm("weight_rewinding").mask or "", "masks")
    for name, value in clean.items():
        if name not in masks:
            assert torch.equal(value, moved[name])  # biases, normalisation
            continue
        kept = masks[name]
        assert torch.equal(value[kept].sort().values, moved[name][kept].sort().values)
        assert not torch.equal(value[kept], moved[name][kept])
        assert bool((moved[name][~kept] == 0).all())


def test_data_checks_rewind_to_weights_of_the_corrupted_pretraining(
    begun: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Half of the data in pretraining: the ticket starts from what that training had at epoch k."""
    room = room_for(tmp_path, "weight_rewinding", checks=["half_dataset"])
    clean = ticket_begins(room, "weight_rewinding", begun)["state"]
    half = ticket_begins(room, "weight_rewinding", begun, "half_dataset")["state"]
    assert not same(clean, half)


def test_half_of_the_data_takes_as_many_steps(tmp_path: Path) -> None:
    data = {"name": "digits", "train_size": 71, "test_size": 20}  # odd, and more than a whole number of batches
    room = room_for(tmp_path, "lr_rewinding", checks=["half_dataset"], data=data)
    clean, half = sorted(room.kinds("pretrain"), key=lambda step: "corruption" in step.params)
    recipe = recipe_from(clean.params["recipe"])
    samples = []
    for step in (clean, half):
        feed, _ = room.context.feeds(step.params, recipe.pad)
        samples.append(feed.samples)
    assert samples == [71, 71]
    everything = room.context.training_set(clean.params)[0].reshape(71, -1)
    shown = room.context.training_set(half.params)[0].reshape(71, -1)
    assert len(torch.unique(shown, dim=0)) == 36
    assert len(torch.unique(everything, dim=0)) == 71


def test_rounds_train_in_between_and_prune_only_survivors(tmp_path: Path) -> None:
    room = room_for(tmp_path, {"name": "lr_rewinding", "rounds": 3}, sparsities=[0.9])
    room.perform()
    mask = room.step(room.arm("lr_rewinding").mask or "")
    chain = [mask]
    while "previous" in chain[-1].inputs:
        chain.append(room.step(chain[-1].inputs["previous"]))
    masks = [room.tree(step.key, "masks") for step in reversed(chain)]
    kept = [sum(int(m.sum()) for m in tree_.values()) for tree_ in masks]
    assert len(kept) == 3
    assert kept[-1] == 2382
    for earlier, later in pairwise(masks):
        assert all(bool((earlier[name] | ~later[name]).all()) for name in earlier)
    shares = [b / a for a, b in zip([23824, *kept], kept, strict=False)]
    assert shares == pytest.approx([0.1 ** (1 / 3)] * 3, rel=1e-3)


def test_the_model_a_method_is_shown_between_rounds_is_pruned(tmp_path: Path) -> None:
    from prunecheck.pruning import method

    zeros: list[int] = []

    @method(name="looks_at_the_model")
    def _looks(weights: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
        zeros.append(sum(int((model.get_parameter(name) == 0).sum()) for name in weights))
        return {name: weight.abs() for name, weight in weights.items()}

    room_for(tmp_path, {"name": "looks_at_the_model", "rounds": 2}, sparsities=[0.75], checks=["identity"]).perform()
    assert zeros == [0, 23824 // 2]
