"""Methods that change their mask during training, from the plan to the stored bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck.pruning.seeds import stream
from prunecheck.steps import perform, training
from prunecheck.study import Arm, Step

from .cut import Cut, cut_after
from .lab import Lab, lab

EPOCHS = 4
OPTIONS = {"every": 2, "until": 1.0}
RIGL = {"name": "rigl", "options": OPTIONS}
SET = {"name": "set", "options": OPTIONS}
RETRAINED = {**RIGL, "label": "rigl_retrained", "retrain": "full"}
STATIC = {"name": "random_ticket", "allocate": "erk"}
CHECKS = ["random_growth", "frozen_topology", "layerwise_rearrange", "random_labels", "identity"]


def dynamic_lab(folder: Path, **changes: Any) -> Lab:
    fields = {
        "methods": [RIGL, SET, RETRAINED, STATIC],
        "checks": CHECKS,
        "training": {"epochs": EPOCHS, "rewind_epoch": 1, "batch_size": 30},
    }
    return lab(folder, **(fields | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return dynamic_lab(tmp_path_factory.mktemp("dynamic")).perform()


def checks_of(room: Lab, method: str) -> set[str]:
    return {arm.check for arm in room.plan.arms if arm.method == method}


def mask_of(room: Lab, arm: Arm) -> dict[str, torch.Tensor]:
    return room.tree(arm.mask or "", "masks")


def test_which_checks_apply(finished: Lab) -> None:
    judged = {"clean", "random_growth", "frozen_topology", "layerwise_rearrange", "identity"}
    assert checks_of(finished, "rigl") == checks_of(finished, "set") == judged
    assert checks_of(finished, "rigl_retrained") == judged | {"random_labels"}
    assert checks_of(finished, "random_ticket") == {"clean", "layerwise_rearrange", "identity"}


def test_the_training_starts_from_the_random_ticket_of_the_same_counts(finished: Lab) -> None:
    static = finished.arm("random_ticket")
    for name in ("rigl", "set"):
        assert finished.step(finished.arm(name).train).inputs == {"masks": static.mask}


@pytest.mark.parametrize("name", ["rigl", "set", "rigl_retrained"])
def test_counts_of_every_layer_stay_and_the_mask_changes(name: str, finished: Lab) -> None:
    initial, final = (mask_of(finished, finished.arm(n)) for n in ("random_ticket", name))
    assert {n: int(m.sum()) for n, m in initial.items()} == {n: int(m.sum()) for n, m in final.items()}
    assert any(not torch.equal(mask, initial[layer]) for layer, mask in final.items())


def test_history_of_the_mask_is_in_the_results(finished: Lab) -> None:
    arm = finished.arm("rigl")
    results, masks = finished.facts(arm.train), mask_of(finished, arm)
    assert [record["step"] for record in results["updates"]] == [0, 2, 4, 6]
    assert all(record["dropped"] == record["grown"] for record in results["updates"])
    initial = mask_of(finished, finished.arm("random_ticket"))
    assert results["kept_from_start"] == sum(int((initial[n] & mask).sum()) for n, mask in masks.items())
    assert results["ever_kept"] >= sum(int((initial[n] | mask).sum()) for n, mask in masks.items())
    assert all(torch.equal(finished.tree(arm.train, "final_masks")[n], mask) for n, mask in masks.items())
    corrupted = finished.facts(finished.arm("rigl", "random_growth").train)["updates"]
    assert any(record["corrupted"] for record in corrupted)


@pytest.mark.parametrize("name", ["rigl", "set", "rigl_retrained"])
def test_frozen_topology_is_the_static_random_ticket(name: str, finished: Lab) -> None:
    frozen, static = finished.arm(name, "frozen_topology"), finished.arm("random_ticket")
    assert frozen.train != static.train
    assert finished.bytes(frozen.train) == finished.bytes(static.train)
    assert finished.facts(frozen.train)["history"] == finished.facts(static.train)["history"]
    assert finished.bytes(frozen.mask or "", "masks.safetensors") == finished.bytes(
        static.mask or "", "masks.safetensors"
    )


def test_rigl_with_random_growth_is_set_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one random stream for both: that of the method ends with the step, and so does that of the check."""
    monkeypatch.setattr("prunecheck.training.dynamic.stream", lambda seed, *purpose: stream(seed, purpose[-1]))
    room = dynamic_lab(tmp_path, methods=[RIGL, SET], checks=["random_growth"])
    rigl, set_ = room.arm("rigl", "random_growth"), room.arm("set")
    for arm in (rigl, set_, room.arm("rigl")):
        room.perform_inputs(room.step(arm.mask or ""))
        perform(room.step(arm.mask or ""), room.context)
    assert room.bytes(rigl.train) == room.bytes(set_.train)
    assert room.bytes(rigl.mask or "", "masks.safetensors") == room.bytes(set_.mask or "", "masks.safetensors")
    assert room.bytes(room.arm("rigl").train) != room.bytes(set_.train)


def test_retrained_ticket_has_the_final_mask_and_the_initial_weights(finished: Lab) -> None:
    judged, retrained = finished.arm("rigl"), finished.arm("rigl_retrained")
    assert retrained.mask == judged.mask  # one training finds the mask of both
    step = finished.step(retrained.train)
    assert step.inputs == {"masks": judged.mask}
    assert "method" not in step.params
    assert finished.bytes(retrained.train) != finished.bytes(judged.train)


def test_check_of_masks_corrupts_what_the_judged_training_starts_from(finished: Lab) -> None:
    def corrupted(arm: Arm) -> Step:
        return finished.step(finished.step(arm.train).inputs["masks"])

    start = corrupted(finished.arm("rigl", "layerwise_rearrange"))
    assert start.inputs == {"masks": finished.arm("random_ticket").mask}
    final = corrupted(finished.arm("rigl_retrained", "layerwise_rearrange"))
    assert final.inputs == {"masks": finished.arm("rigl").mask}


def test_data_check_corrupts_the_training_that_finds_the_mask_and_not_the_retraining(finished: Lab) -> None:
    arm = finished.arm("rigl_retrained", "random_labels")
    assert "corruption" not in finished.step(arm.train).params
    found = finished.step(finished.step(arm.mask or "").inputs["trained"])
    assert found.params["corruption"]["name"] == "random_labels"


@pytest.fixture
def _checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)


@pytest.mark.usefixtures("_checkpoint_after_every_epoch")
@pytest.mark.parametrize("epochs", range(1, EPOCHS))
@pytest.mark.parametrize("arm", [("rigl", "clean"), ("set", "clean"), ("rigl", "random_growth")], ids="-".join)
def test_training_cut_short_ends_with_the_same_bytes(
    arm: tuple[str, str], epochs: int, finished: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = dynamic_lab(tmp_path)
    step = room.step(room.arm(*arm).train)
    room.perform_inputs(step)
    with monkeypatch.context() as patch:
        cut_after(patch, epochs)
        with pytest.raises(Cut):
            perform(step, room.context)
    assert room.context.store.load_partial(step.key) is not None
    perform(step, room.context)
    names = {"final.safetensors", "final_masks.safetensors", "result.json"}
    assert set(room.context.store.names(step.key)) == names
    assert all(room.bytes(step.key, name) == finished.bytes(step.key, name) for name in names)


@pytest.mark.usefixtures("_checkpoint_after_every_epoch")
def test_checkpoint_without_the_masks_of_its_epoch_ends_otherwise(
    finished: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masks in a checkpoint are needed: with those of the beginning the training ends with other bytes."""
    room = dynamic_lab(tmp_path)
    step = room.step(room.arm("rigl").train)
    room.perform_inputs(step)
    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(Cut):
            perform(step, room.context)
    real = training._Checkpoint.copy_into
    monkeypatch.setattr(training._Checkpoint, "copy_into", lambda self, state, _: real(self, state, None))
    perform(step, room.context)
    assert room.bytes(step.key) != finished.bytes(step.key)


def test_sparse_backend_trains_it_densely_and_says_why(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    room = dynamic_lab(tmp_path, methods=[RIGL], checks=["layerwise_rearrange"], backend="sparse")
    step = room.step(room.arm("rigl").train)
    room.perform_inputs(step)
    perform(step, room.context)
    results = room.facts(step.key)
    assert (results["backend"], results["backend_reason"]) == ("dense", "its mask changes while it trains")


def test_counts_of_a_dynamic_method_can_be_lent(tmp_path: Path) -> None:
    lent = {"name": "random_ticket", "label": "lent", "allocate": {"name": "counts_of", "method": "rigl"}}
    room = dynamic_lab(tmp_path, methods=[lent], checks=["layerwise_rearrange"])
    step = room.step(room.arm("lent").mask or "")
    assert "trained" in room.step(step.inputs["counts"]).inputs
    room.perform()
    assert room.facts(room.arm("lent").train)["accuracy"] is not None
