"""Tickets trained together on a simulated GPU, then alone on it: artefacts, checkpoints and kills."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import Interrupted
from prunecheck.steps import perform, perform_together, training
from prunecheck.store import Store
from prunecheck.study import Step
from prunecheck.training.together import Together
from tests.training.fake_gpu import FakeGpu

from .lab import Lab, lab

TRAINING = {"epochs": 4, "rewind_epoch": 2, "batch_size": 30, "lr": 0.125, "gamma": 0.5}


def room_for(folder: Path, gpu: FakeGpu | None, **changes: Any) -> tuple[Lab, list[Step]]:
    """Its tickets, whose inputs are in the store, with rates that a device holds exactly."""
    room = lab(folder, **({"methods": ["snip", "weight_rewinding"], "training": TRAINING, "seeds": 2} | changes))
    steps = [step for step in room.kinds("train") if not step.params.get("backend")]
    for step in steps:
        room.perform_inputs(step)
    room.context.on_gpu = gpu and Together(gpu, 8)
    return room, steps


def files(room: Lab, steps: list[Step]) -> list[dict[str, bytes]]:
    store = room.context.store
    return [{name: store.read(step.key, name) for name in store.names(step.key)} for step in steps]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """By the loop, without a GPU."""
    room, steps = room_for(tmp_path_factory.mktemp("whole"), None)
    for step in steps:
        perform(step, room.context)
    return files(room, steps)


def test_tickets_of_any_method_and_seed_trained_together_have_the_bytes_of_each_alone(
    tmp_path: Path, whole: list[dict[str, bytes]]
) -> None:
    gpu = FakeGpu()
    room, steps = room_for(tmp_path, gpu)
    assert len(steps) == len(whole) > 3
    perform_together(steps, room.context)
    assert files(room, steps) == whole
    assert max(gpu.recordings) == min(len(steps), 8)


def test_pretrainings_together_keep_their_rewind_states(tmp_path: Path) -> None:
    (room, _), (other, _) = (room_for(tmp_path / name, None, methods=["weight_rewinding"]) for name in "ab")
    steps = room.kinds("pretrain")
    wanted = files(room, steps)
    fresh = lab(tmp_path / "c", methods=["weight_rewinding"], training=TRAINING, seeds=2)
    fresh.context.on_gpu = Together(FakeGpu(), 8)
    perform_together(steps, fresh.context)
    assert files(fresh, steps) == wanted == files(other, steps)
    assert "rewind.safetensors" in wanted[0]


@pytest.mark.parametrize("epoch", [1, 3])
def test_interruption_in_the_middle_of_a_group_loses_only_the_epoch_under_way(
    epoch: int, tmp_path: Path, whole: list[dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, steps = room_for(tmp_path, FakeGpu())
    with monkeypatch.context() as patch:
        stop_in_epoch(patch, epoch)
        with pytest.raises(Interrupted):
            perform_together(steps, room.context)
    assert all(room.context.store.load_partial(step.key) is not None for step in steps)
    perform(steps[0], room.context)
    perform_together(steps[1:], room.context)
    assert files(room, steps) == whole


def stop_in_epoch(patch: pytest.MonkeyPatch, epoch: int) -> None:
    real = training.Training.end_epoch

    def end_epoch(self: Any) -> None:
        if self.epoch == epoch:
            raise Interrupted("stop")
        real(self)

    patch.setattr(training.Training, "end_epoch", end_epoch)


class Killed(BaseException):
    """The process is gone."""


def test_kill_after_some_checkpoints_of_a_group_were_written_changes_no_byte(
    tmp_path: Path, whole: list[dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tickets then stand at different epochs, and go on together."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    room, steps = room_for(tmp_path, FakeGpu())
    saved = 0
    real = Store.save_partial

    def save(self: Store, key: str, data: bytes) -> None:
        nonlocal saved
        real(self, key, data)
        saved += 1
        if saved == len(steps) + 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_partial", save)
        with pytest.raises(Killed):
            perform_together(steps, room.context)
    perform_together(steps, room.context)
    assert files(room, steps) == whole


def test_ticket_that_ended_before_the_interruption_is_committed(
    tmp_path: Path, whole: list[dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, steps = room_for(tmp_path, FakeGpu())
    room.context.on_gpu = Together(FakeGpu(), 1)
    real = Store.commit
    done: list[str] = []

    def commit(self: Store, key: str, *rest: Any) -> None:
        if done:
            raise Killed
        real(self, key, *rest)
        done.append(key)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", commit)
        with pytest.raises(Killed):
            perform_together(steps, room.context)
    assert [room.context.store.has(step.key) for step in steps] == [True] + [False] * (len(steps) - 1)
    perform_together(steps[1:], room.context)
    assert files(room, steps) == whole


def test_result_names_the_reason_why_steps_could_not_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_new = count()
    monkeypatch.setattr("prunecheck.training.recorded._attributes", lambda _model: next(always_new))
    room, steps = room_for(tmp_path, FakeGpu(), methods=["snip"])
    perform_together(steps[:2], room.context)
    assert all("attributes" in room.facts(step.key)["eager_reason"] for step in steps[:2])
