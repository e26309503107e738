"""The time of a training is known after its second epoch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from prunecheck.runner.estimate import Estimate
from prunecheck.steps import epoch_times, perform
from prunecheck.steps.epoch_times import EpochTimes
from prunecheck.store import Store, Timings
from prunecheck.study import Step

from .cut import Cut, cut_after
from .lab import lab

STEP = Step("train", {"model": "resnet8"}, cost_class="train/resnet8@32/cpu", cost_units=4000.0)


def ends(store: Store, monkeypatch: pytest.MonkeyPatch, moments: list[tuple[int, float]]) -> float | None:
    """The recorded time where training number i ends an epoch at second s, for every (i, s)."""
    times, calls = EpochTimes(store), []
    trainings = [times.watching(STEP, 40, calls.append) for _ in range(3)]
    for number, second in moments:
        monkeypatch.setattr(epoch_times, "time", SimpleNamespace(monotonic=lambda second=second: second))
        trainings[number](second)
    assert calls == [second for _, second in moments]
    return Timings(store).typical(STEP.cost_class)


def test_the_second_epoch_is_timed_and_the_first_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ends(Store.open(tmp_path), monkeypatch, [(0, 100.0), (0, 110.0), (0, 111.0)])
    assert found == pytest.approx(10 * 40 / 4000)


def test_trainings_at_a_time_share_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ends(Store.open(tmp_path), monkeypatch, [(0, 90.0), (1, 90.1), (2, 90.2), (0, 120.0), (1, 120.1)])
    assert found == pytest.approx(10 * 40 / 4000)


def test_short_epochs_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends(Store.open(tmp_path), monkeypatch, [(0, 1.0), (0, 1.0 + 0.9 * epoch_times.LONG_EPOCH)]) is None


def test_whole_trainings_are_the_better_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Timings(Store.open(tmp_path)).record(STEP.cost_class, 0.5, "earlier")
    assert ends(Store.open(tmp_path), monkeypatch, [(0, 100.0), (0, 110.0)]) == 0.5


def test_a_training_that_is_interrupted_leaves_its_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = lab(tmp_path, methods=["weight_rewinding"], training={"epochs": 4, "batch_size": 30})
    (step,) = room.kinds("pretrain")
    monkeypatch.setattr(epoch_times, "LONG_EPOCH", 0.0)
    monkeypatch.setattr("prunecheck.steps.training.CHECKPOINT_SECONDS", -1.0)
    cut_after(monkeypatch, 2)
    assert not Estimate(room.context.store).is_measured([step])
    with pytest.raises(Cut):
        perform(step, room.context)
    assert Estimate(room.context.store).is_measured([step])
    assert Estimate(room.context.store).seconds(step) > 0
