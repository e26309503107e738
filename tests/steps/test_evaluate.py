"""Metrics of a trained network other than accuracy: what they are, and that measuring them changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from prunecheck import tensors
from prunecheck.steps import perform
from prunecheck.steps.evaluate import probability_scores

from .lab import Lab, lab

TRAINING = {"epochs": 1, "rewind_epoch": 0, "batch_size": 30}


@pytest.fixture
def measured(tmp_path: Path) -> Lab:
    return lab(tmp_path, methods=["snip"], training=TRAINING, metric="p_correct")


def test_scores_of_single_predictions_are_the_definitions() -> None:
    shares = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    right, distance = probability_scores(shares.log(), torch.tensor([0, 0, 2]))
    assert right.tolist() == pytest.approx([0.7, 0.0, 1 / 3])
    assert distance.tolist() == pytest.approx([0.3**2 + 0.2**2 + 0.1**2, 2.0, 2 / 3])


def test_outputs_that_are_not_finite_count_as_equal_probabilities() -> None:
    bad = torch.tensor([[float("nan"), 0.0], [float("inf"), 0.0], [float("-inf"), float("-inf")]])
    right, distance = probability_scores(bad, torch.tensor([0, 1, 1]))
    assert right.tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert distance.tolist() == pytest.approx([0.5, 0.5, 0.5])


def test_honest_probabilities_have_the_best_expected_brier_score() -> None:
    truth = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    targets = torch.arange(3)

    def expected(shares: torch.Tensor) -> float:
        _, distance = probability_scores(shares.log().expand(3, 3), targets)
        return float((truth * distance).sum())

    rng = np.random.default_rng(0)
    others = [torch.from_numpy(rng.dirichlet(np.ones(3))) for _ in range(200)]
    assert all(expected(truth) < expected(other) for other in others)


def test_the_means_are_those_of_the_stored_network_on_the_test_set(measured: Lab) -> None:
    arm = measured.arm("snip")
    step = measured.step(arm.evaluate)
    measured.perform_inputs(step)
    perform(step, measured.context)
    found = json.loads(measured.context.store.read(step.key, "result.json"))
    images = measured.context.images(step.params)
    model = measured.context.model(step.params)
    model.load_state_dict(measured.context.tree(arm.train, "final"))
    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (images.mean, images.std))
    with torch.no_grad():
        inputs = (torch.from_numpy(images.test_inputs) / 255 - mean) / std
        outputs = model.eval()(inputs)
    targets = torch.from_numpy(images.test_targets)
    shares = outputs.softmax(dim=1)
    assert found["n_test"] == len(targets)
    assert found["p_correct"] == pytest.approx(float(shares[range(len(targets)), targets].mean()), abs=1e-6)
    truth = torch.nn.functional.one_hot(targets, shares.shape[1])
    assert found["brier"] == pytest.approx(1 - float(((shares - truth) ** 2).sum(dim=1).mean()), abs=1e-6)
    accuracy = json.loads(measured.context.store.read(arm.train, "result.json"))["accuracy"]
    assert float((outputs.argmax(dim=1) == targets).double().mean()) == accuracy


def test_a_diverged_network_has_the_scores_of_guessing(measured: Lab) -> None:
    arm = measured.arm("snip")
    step = measured.step(arm.evaluate)
    measured.perform_inputs(step)
    model = measured.context.model(step.params)
    broken = {
        name: value * float("nan") if value.is_floating_point() else value for name, value in model.state_dict().items()
    }
    store = measured.context.store
    step = type(step)("evaluate", {**step.params, "seed": 99}, {"weights": "f" * 64})
    store.commit("f" * 64, {"final.safetensors": tensors.to_bytes(broken), "result.json": b"{}"})
    perform(step, measured.context)
    assert json.loads(store.read(step.key, "result.json"))["p_correct"] == pytest.approx(0.1)


def test_the_keys_of_trainings_do_not_depend_on_the_metric(tmp_path: Path, measured: Lab) -> None:
    plain = lab(tmp_path / "plain", methods=["snip"], training=TRAINING)
    keys = {step.key for step in plain.plan.steps.values()}
    assert keys == {step.key for step in measured.plan.steps.values() if step.kind != "evaluate"}
    assert [arm.evaluate for arm in plain.plan.arms] == [None] * len(plain.plan.arms)
    assert all(measured.step(arm.evaluate).inputs == {"weights": arm.train} for arm in measured.plan.arms)
    brier = lab(tmp_path / "brier", methods=["snip"], training=TRAINING, metric="brier")
    assert brier.plan.steps.keys() == measured.plan.steps.keys()
