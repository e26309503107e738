"""A training cut short at any epoch and taken up again ends with the same bytes; what cannot be trusted is not used."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck import tensors as tree
from prunecheck.errors import Interrupted, ModelError
from prunecheck.runner.signals import sigterm_interrupts
from prunecheck.steps import perform, training
from prunecheck.study import Step
from prunecheck.training.feed import Feed

from .cut import Cut, cut_after
from .lab import Lab, lab

EPOCHS, K = 4, 2
LONG = {"epochs": EPOCHS, "rewind_epoch": K, "batch_size": 30}


@pytest.fixture(autouse=True)
def _checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)


def long_lab(folder: Path, **changes: Any) -> Lab:
    return lab(folder, **({"methods": ["weight_rewinding"], "training": LONG} | changes))


def files_of(room: Lab, step: Step) -> dict[str, bytes]:
    return {name: room.bytes(step.key, name) for name in room.context.store.names(step.key)}


def pretraining(room: Lab) -> Step:
    (step,) = room.kinds("pretrain")
    return step


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Never interrupted, never checkpointed."""
    return long_lab(tmp_path_factory.mktemp("whole")).perform()


@pytest.mark.parametrize("epochs", range(1, EPOCHS))
def test_a_pretraining_cut_short_ends_with_the_same_bytes(
    epochs: int, whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = long_lab(tmp_path)
    step = pretraining(room)
    with monkeypatch.context() as patch:
        cut_after(patch, epochs)
        with pytest.raises(Cut):
            perform(step, room.context)
    trained = epochs_trained(monkeypatch)
    perform(step, room.context)
    assert trained == list(range(epochs, EPOCHS))
    assert files_of(room, step) == files_of(whole, step)
    assert set(files_of(room, step)) == {"final.safetensors", "rewind.safetensors", "result.json"}
    assert room.context.store.load_partial(step.key) is None


def epochs_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs that are trained from now on."""
    real = Feed.draws
    seen: list[int] = []

    def draws(self: Feed, recipe: Any, seed: int, phase: str, epoch: int, **order: bool) -> Any:
        seen.append(epoch)
        return real(self, recipe, seed, phase, epoch, **order)

    monkeypatch.setattr(Feed, "draws", draws)
    return seen


def test_a_ticket_cut_short_ends_with_the_same_bytes(
    whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = long_lab(tmp_path)
    step = room.step(room.arm("weight_rewinding").train)
    room.perform_inputs(step)
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(Cut):
            perform(step, room.context)
    trained = epochs_trained(monkeypatch)
    perform(step, room.context)
    assert trained == [K + 1]
    assert files_of(room, step) == files_of(whole, step)


def test_repeatedly_interrupted_training_ends_with_the_same_bytes(
    whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = long_lab(tmp_path)
    step = pretraining(room)
    for _ in range(EPOCHS - 1):
        with monkeypatch.context() as patch:
            cut_after(patch, 1)
            with pytest.raises(Cut):
                perform(step, room.context)
    perform(step, room.context)
    assert files_of(room, step) == files_of(whole, step)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_a_training_that_is_told_to_stop_loses_only_the_epoch_under_way(
    number: signal.Signals, epoch: int, whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real signal in the middle of an epoch, long before the next checkpoint is due. SIGTERM comes twice: from a
    scheduler to the whole process group, and from the parent."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 1e9)
    room = long_lab(tmp_path)
    step = pretraining(room)
    with monkeypatch.context() as patch, sigterm_interrupts():
        after_a_batch(patch, epoch, lambda: [signal.raise_signal(number) for _ in range(2)])
        with pytest.raises((Interrupted, KeyboardInterrupt)):
            perform(step, room.context)
    assert (room.context.store.load_partial(step.key) is not None) == (epoch > 0)
    trained = epochs_trained(monkeypatch)
    perform(step, room.context)
    assert trained == list(range(epoch, EPOCHS))
    assert files_of(room, step) == files_of(whole, step)


def after_a_batch(patch: pytest.MonkeyPatch, at: int, act: Callable[[], object]) -> None:
    """Do something in the middle of an epoch."""
    real, begun = Feed.draws, Feed.drawn
    now = [-1, 0]  # epoch and step

    def draws(self: Feed, recipe: Any, seed: int, phase: str, epoch: int, **order: bool) -> Any:
        now[:] = epoch, 0
        return real(self, recipe, seed, phase, epoch, **order)

    def drawn(self: Feed, *rows: Any) -> Any:
        if now == [at, 1]:
            act()
        now[1] += 1
        return begun(self, *rows)

    patch.setattr(Feed, "draws", draws)
    patch.setattr(Feed, "drawn", drawn)


def test_a_checkpoint_beyond_the_rewind_epoch_without_its_weights_is_not_used(
    whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on from it would pass the final weights off as those of epoch k."""
    room = long_lab(tmp_path)
    step = pretraining(room)
    with monkeypatch.context() as patch:
        cut_after(patch, K + 1)
        with pytest.raises(Cut):
            perform(step, room.context)
    held = room.context.store.load_partial(step.key)
    assert held is not None
    tensors = tree.from_bytes(held)
    poorer = {name: tensor for name, tensor in tensors.items() if not name.startswith("kept/")}
    assert len(poorer) < len(tensors)
    room.context.store.save_partial(step.key, tree.to_bytes(poorer))
    perform(step, room.context)
    assert files_of(room, step) == files_of(whole, step)


def test_a_torn_checkpoint_is_not_used(whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = long_lab(tmp_path)
    step = pretraining(room)
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(Cut):
            perform(step, room.context)
    path = room.context.store.partial_path(step.key)
    path.write_bytes(path.read_bytes()[:-100])
    perform(step, room.context)
    assert files_of(room, step) == files_of(whole, step)


@pytest.mark.parametrize("k", [0, EPOCHS])
def test_rewinding_to_the_very_beginning_and_to_the_end(k: int, tmp_path: Path) -> None:
    room = long_lab(tmp_path, training=LONG | {"rewind_epoch": k}, methods=["lottery_ticket"])
    step = pretraining(room)
    perform(step, room.context)
    rewind = room.tree(step.key, "rewind")
    expected = room.tree(step.key, "final") if k else dict(room.context.model(step.params).state_dict())
    assert tree.fingerprint(rewind) == tree.fingerprint(expected)


def test_the_rewind_weights_are_those_of_a_training_that_stopped_there(whole: Lab, tmp_path: Path) -> None:
    step = pretraining(whole)
    stopped = Step("pretrain", {**step.params, "until": K})
    room = long_lab(tmp_path)
    perform(stopped, room.context)
    assert room.bytes(stopped.key) == whole.bytes(step.key, "rewind.safetensors")
    assert room.bytes(stopped.key) != whole.bytes(step.key, "final.safetensors")


def test_diverged_training_is_marked_and_evaluated(tmp_path: Path) -> None:
    room = long_lab(tmp_path, training=LONG | {"lr": 1e30}, methods=["weight_rewinding", "random_ticket"])
    dense, ticket = pretraining(room), room.step(room.arm("random_ticket").train)
    for step in (dense, ticket):
        room.perform_inputs(step)
        perform(step, room.context)
        text = room.bytes(step.key, "result.json").decode()
        facts = json.loads(text, parse_constant=pytest.fail)  # NaN is no JSON
        assert facts["diverged"]
        assert 0 <= facts["accuracy"] <= 1
        assert len(facts["history"]) < EPOCHS
    with pytest.raises(ModelError, match=r"its training diverged\. Lower training\.lr"):
        room.perform_inputs(room.step(room.arm("weight_rewinding").train))
    masks = room.tree(room.arm("random_ticket").mask or "", "masks")
    final = room.tree(room.arm("random_ticket").train)
    assert all(bool((final[name][~mask] == 0).all()) for name, mask in masks.items())
    assert any(not bool(torch.isfinite(value).all()) for value in final.values())


def test_results_of_a_training(whole: Lab) -> None:
    facts = whole.facts(whole.arm("weight_rewinding").train)
    history = facts["history"]
    assert [epoch["epoch"] for epoch in history] == [2, 3]
    assert (facts["first_epoch"], facts["last_epoch"], facts["n_train"], facts["n_test"]) == (K, EPOCHS, 60, 50)
    assert facts["accuracy"] == history[-1]["test_accuracy"]
    assert facts["best_accuracy"] == max(epoch["test_accuracy"] for epoch in history)
    assert facts["train_accuracy"] == history[-1]["train_accuracy"]
    assert not facts["diverged"]
    assert facts["accuracy"] * 50 == pytest.approx(round(facts["accuracy"] * 50))
