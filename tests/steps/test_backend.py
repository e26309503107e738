"""Tickets trained on the sparse backend: the same network as the dense one's within rounding, resumable to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prunecheck.steps import perform
from prunecheck.steps import training as training_run
from prunecheck.study import Step
from prunecheck.training import sparse

from .lab import Lab, lab
from .test_training import Cut, cut_after, files_of

pytestmark = pytest.mark.skipif(sparse.unavailable() is not None, reason="numba is not installed")

TRAINING = {"epochs": 3, "rewind_epoch": 1, "batch_size": 30}


def room(folder: Path, backend: str, sparsity: float = 0.9) -> Lab:
    training = {"methods": ["random_ticket"], "sparsities": [sparsity], "training": TRAINING}
    return lab(folder, backend=backend, **training)


def ticket(room: Lab) -> Step:
    step = room.step(room.arm("random_ticket").train)
    room.perform_inputs(step)
    return step


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = room(tmp_path_factory.mktemp("whole"), "sparse")
    perform(ticket(made), made.context)
    return made


def test_sparse_backend_trains_the_same_network_as_dense(whole: Lab, tmp_path: Path) -> None:
    dense = room(tmp_path, "dense")
    step, twin = ticket(dense), whole.step(whole.arm("random_ticket").train)
    perform(step, dense.context)
    facts, ours = dense.facts(step.key), whole.facts(twin.key)
    assert "backend" not in facts
    assert ours["backend"] == "sparse"
    assert ours["layers_sparse"] == ours["layers_pruned"] > 0
    for one, other in zip(facts["history"], ours["history"], strict=True):
        assert other["train_loss"] == pytest.approx(one["train_loss"], rel=1e-3)
    mine, theirs = whole.tree(twin.key), dense.tree(step.key)
    assert {name: value.shape for name, value in mine.items()} == {name: value.shape for name, value in theirs.items()}
    for name, mask in whole.tree(twin.inputs["masks"], "masks").items():
        assert not mine[name][~mask].any()
        assert mine[name][mask].all()
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("epochs", [1, 2])
def test_interrupted_sparse_training_ends_with_the_same_bytes(
    epochs: int, whole: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "CHECKPOINT_SECONDS", -1.0)
    again = room(tmp_path, "sparse")
    step = ticket(again)
    with monkeypatch.context() as patch:
        cut_after(patch, epochs)
        with pytest.raises(Cut):
            perform(step, again.context)
    perform(step, again.context)
    assert files_of(again, step) == files_of(whole, step)


def test_dense_path_is_recorded_where_sparse_is_not_faster(tmp_path: Path) -> None:
    full = room(tmp_path, "sparse", sparsity=0.1)
    step = ticket(full)
    perform(step, full.context)
    facts = full.facts(step.key)
    assert facts["backend"] == "dense"
    assert "survive" in facts["backend_reason"]
