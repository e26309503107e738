"""Trainings of two processes: the network and the masks of one, and what happens where a process is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck.errors import Interrupted, StudyError
from prunecheck.runner import worker
from prunecheck.runner.study_run import worker_config
from prunecheck.steps import training
from prunecheck.store import Store
from prunecheck.study import Plan, Step, make_plan
from tests.data.streams import write_folder
from tests.runner import tiny
from tests.steps.lab import Lab, lab

LONG = {"epochs": 3, "rewind_epoch": 1, "batch_size": 16, "pad": 1}


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    worker.release()


def fields(**changes: Any) -> dict[str, Any]:
    usual = {"training": LONG, "processes_per_training": 2, "methods": ["snip"], "checks": ["layerwise_rearrange"]}
    return usual | changes


def begin(folder: Path, **changes: Any) -> tuple[Plan, Store]:
    """Steps are then performed by ``worker.do``, in this process and one more."""
    study, store = tiny.study(**fields(**changes)), Store.open(folder / "store")
    worker.initialise(worker_config(study, store))
    return make_plan(study), store


def do_all(plan: Plan) -> None:
    for step in plan.steps.values():
        assert worker.do(step).ended == "done"


def trainings(plan: Plan) -> list[Step]:
    return [step for step in plan.steps.values() if step.kind in ("pretrain", "train")]


def close(one: Lab, other: Lab) -> None:
    """Trainings are equal within the tolerance of float32, masks to the bit."""
    for first, second in zip(trainings(one.plan), trainings(other.plan), strict=True):
        a, b = one.tree(first.key), other.tree(second.key)
        for name, tensor in a.items():
            torch.testing.assert_close(b[name], tensor, rtol=1e-3, atol=1e-4)
            assert torch.equal(b[name] == 0, tensor == 0)
        assert first.key != second.key
    for first, second in zip(one.kinds("mask"), other.kinds("mask"), strict=True):
        assert one.bytes(first.key, "masks.safetensors") == other.bytes(second.key, "masks.safetensors")


def test_two_processes_train_the_network_of_one(tmp_path: Path) -> None:
    """Batches of 16 and a last one of 12, batch normalisation, augmentation; the second training uses the same two."""
    one = lab(tmp_path / "one", **fields(processes_per_training=1)).perform()
    plan, store = begin(tmp_path / "two")
    do_all(plan)
    two = Lab(plan, worker._context)
    close(one, two)
    assert all("processes" in step.params for step in trainings(plan))
    assert not store.load_partial(trainings(plan)[0].key)


@pytest.mark.slow
def test_methods_that_change_masks_and_single_normalisation(tmp_path: Path) -> None:
    """RigL's masks follow the gradients of the whole batch; without synchronised normalisation the numbers differ."""
    changes = {"methods": ["rigl"], "checks": ["random_growth"]}
    one = lab(tmp_path / "one", **fields(processes_per_training=1, **changes)).perform()
    plan, _ = begin(tmp_path / "two", **changes)
    do_all(plan)
    close(one, Lab(plan, worker._context))
    plan, _ = begin(tmp_path / "single", sync_batch_norm=False)
    do_all(plan)
    for step in trainings(plan):
        assert Lab(plan, worker._context).facts(step.key)["diverged"] is False


@pytest.mark.slow
def test_lost_process_ends_the_step_and_a_rerun_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    plan, _ = begin(tmp_path / "whole", methods=["dense"])
    do_all(plan)
    whole = Lab(plan, worker._context).bytes(trainings(plan)[0].key)

    plan, store = begin(tmp_path / "part", methods=["dense"])
    (step,) = trainings(plan)
    real = Store.save_partial

    def save_and_kill(self: Store, key: str, data: bytes) -> None:
        real(self, key, data)
        assert worker._ranks is not None
        ((process, _),) = worker._ranks._others
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_partial", save_and_kill)
        answer = worker.do(step)
    assert answer.ended == "failed"
    assert answer.reason == (
        "process 2 of 2 of this training ended (killed, or out of memory). Run the study again: it goes on from the "
        "last finished epoch."
    )
    kept = store.load_partial(step.key)
    assert kept is not None
    assert not store.has(step.key)
    assert worker.do(step).ended == "done"
    assert Lab(plan, worker._context).bytes(step.key) == whole


@pytest.mark.slow
def test_interruption_writes_a_checkpoint_and_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = begin(tmp_path, methods=["dense"])
    (step,) = trainings(plan)
    after, processes = training._Saver.after_epoch, []

    def interrupt(self: training._Saver, state: Any) -> None:
        after(self, state)
        assert worker._ranks is not None
        processes.extend(process for process, _ in worker._ranks._others)
        raise Interrupted("Stopped.")

    with monkeypatch.context() as patch:
        patch.setattr(training._Saver, "after_epoch", interrupt)
        assert worker.do(step).ended == "interrupted"
    assert store.load_partial(step.key) is not None
    assert [process.exitcode for process in processes] == [-signal.SIGKILL]


@pytest.mark.slow
def test_reason_of_another_process_is_reported(tmp_path: Path) -> None:
    """The last test images are evaluated by the second process."""
    write_folder(tmp_path / "data")
    data = {"name": "folder", "root": str(tmp_path / "data"), "size": 8, "stream": True}
    plan, _ = begin(tmp_path, methods=["dense"], data=data, training=LONG | {"batch_size": 6})
    (step,) = trainings(plan)
    # loaded here before it is broken, so that this process does not notice
    worker._context.images(step.params)
    (tmp_path / "data/val/emu/02.png").write_text("no image")
    answer = worker.do(step)
    assert answer.ended == "failed"
    assert "val/emu/02.png cannot be read" in answer.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sync_batch_norm": True, "processes_per_training": 1}, "is for trainings of several processes"),
        ({"backend": "sparse"}, "it trains in one process, and processes_per_training = 2"),
    ],
)
def test_studies_that_several_processes_cannot_train(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        tiny.study(**fields(**changes))


def test_batch_that_cannot_be_divided_is_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"processes_per_training = 40: a batch of 28 images .* is too small"):
        tiny.run(tmp_path, **fields(processes_per_training=40, training=LONG | {"batch_size": 32}))


def test_other_engines_are_refused(tmp_path: Path) -> None:
    from prunecheck.runner.progress import Progress
    from prunecheck.runner.study_run import run_study

    with pytest.raises(StudyError, match="takes processes of one machine"):
        run_study(tiny.study(**fields()), tiny.place(tmp_path), 1, Progress(), engine=lambda _config, _note: None)  # type: ignore[arg-type,return-value]
