"""Hostile checks inside a real step: the message names the check and what it did; nothing is committed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck.errors import PluginError
from prunecheck.pruning import check, method
from prunecheck.steps import perform

from .lab import Lab, lab

Tree = dict[str, torch.Tensor]


def refused(folder: Path, kind: str, **changes: Any) -> str:
    """The message with which the step of that kind of the study is refused."""
    room = lab(folder, **changes)
    step = room.kinds(kind)[-1]
    room.perform_inputs(step)
    with pytest.raises(PluginError) as caught:
        perform(step, room.context)
    assert not room.context.store.has(step.key)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    return message


def poisoned(scores: Tree) -> Tree:
    return {name: score / 0 for name, score in scores.items()}


def renamed(scores: Tree) -> Tree:
    return {name + "_": -score for name, score in scores.items()}


def transposed(scores: Tree) -> Tree:
    return {name: -score.transpose(0, 1) for name, score in scores.items()}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (poisoned, "check 'mine': 144 of 144 scores of conv1.weight are NaN or infinite"),
        (renamed, "check 'mine' returned nothing for conv1.weight, conv2.weight, conv3.weight"),
        (transposed, "check 'mine': scores of conv1.weight has shape (1, 16, 3, 3); it must be (16, 1, 3, 3)"),
    ],
)
def test_checks_of_the_scores(function: Callable[..., Tree], message: str, tmp_path: Path) -> None:
    check(at="scores", name="mine")(function)
    assert message in refused(tmp_path, "corrupt", checks=["mine"], methods=["magnitude_init"])


def as_numbers(masks: Tree) -> Tree:
    return {name: mask.flip(0).float() for name, mask in masks.items()}


def loses_a_weight(masks: Tree) -> Tree:
    return {name: mask & (mask.flatten().cumsum(0) > 1).reshape(mask.shape) for name, mask in masks.items()}


def nothing(masks: Tree) -> Tree:
    return dict(masks)


def in_place(masks: Tree) -> Tree:
    masks["fc.weight"].logical_not_()
    return masks


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (as_numbers, "check 'mine': the mask of conv1.weight is torch.float32; a mask is bool, True where kept"),
        (loses_a_weight, "check 'mine' promised to keep the counts and changed that of conv1.weight"),
        (nothing, "check 'mine' left every tensor at 'masks' unchanged: it tests nothing here"),
        (in_place, "mine changed the masks it was given; work on a copy"),
    ],
)
def test_checks_of_the_masks(function: Callable[..., Tree], message: str, tmp_path: Path) -> None:
    check(at="masks", name="mine", preserves="counts")(function)
    assert message in refused(tmp_path, "corrupt", checks=["mine"], methods=["magnitude_init"])


def in_double(weights: Tree) -> Tree:
    return {name: weight.double().flip(0) for name, weight in weights.items()}


def infinite(weights: Tree) -> Tree:
    return {name: weight / weight.abs().min() for name, weight in weights.items()}


def wider(weights: Tree) -> Tree:
    return {name: weight + 1 for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (in_double, "the weights of conv1.weight are torch.float64; they were torch.float32"),
        (infinite, "weights of conv1.weight are NaN or infinite"),
        (wider, "check 'mine' promised to keep the kept values of conv1.weight and did not"),
    ],
)
def test_checks_of_the_weights(function: Callable[..., Tree], message: str, tmp_path: Path) -> None:
    check(at="weights", name="mine", preserves="values")(function)
    assert message in refused(tmp_path, "corrupt", checks=["mine"], methods=["magnitude_init"])


def as_floats(batches: Any) -> Any:
    return batches[0].float(), batches[1]


def one_hot(batches: Any, classes: int) -> Any:
    return batches[0], torch.nn.functional.one_hot(batches[1], classes)


def unchanged(batches: Any) -> Any:
    return batches[0].clone(), batches[1].clone()


def blackens(batches: Any) -> Any:
    batches[0].zero_()
    return batches


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (as_floats, "returned torch.float32 images (60, 1, 8, 8); it must return uint8 images of 1 x 8 x 8"),
        (one_hot, "returned inputs (60, 1, 8, 8) and targets (60, 10)"),
        (unchanged, "left every tensor at 'batches' unchanged"),
        (blackens, "mine changed the batches it was given"),
    ],
)
def test_checks_of_the_data(function: Callable[..., Any], message: str, tmp_path: Path) -> None:
    check(at="batches", name="mine")(function)
    assert message in refused(tmp_path, "score", checks=["mine"])


@pytest.mark.parametrize("dose", [None, 0.5])
def test_partial_corruption_is_validated_like_a_full_one(dose: float | None, tmp_path: Path) -> None:
    check(at="scores", name="mine")(lambda scores: {name: -score for name, score in list(scores.items())[1:]})
    chosen = {"name": "mine"} | ({"dose": dose} if dose else {})
    said = refused(tmp_path, "corrupt", checks=[chosen], methods=["magnitude_init"])
    assert "check 'mine' returned nothing for conv1.weight" in said


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda w: {n: t.log() for n, t in w.items()}, "method 'mine': "),
        (lambda w: {n: t for n, t in w.items() if "conv" in n}, "method 'mine' returned nothing for fc.weight"),
        (lambda w: {n: t.abs().sum() for n, t in w.items()}, "scores of conv1.weight has shape ()"),
        (lambda w: [t.abs() for t in w.values()], "method 'mine' returned list"),
    ],
)
def test_methods(answer: Callable[[Tree], Any], message: str, tmp_path: Path) -> None:
    @method(name="mine")
    def _mine(weights: Tree) -> Any:
        return answer(weights)

    assert message in refused(tmp_path, "score", methods=["mine"])


def test_a_method_that_trains_the_model_it_is_shown_or_clears_the_batches(tmp_path: Path) -> None:
    @method(name="trains")
    def _trains(model: torch.nn.Module, batches: Any) -> Tree:
        torch.nn.functional.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        return {name: p.detach().abs() for name, p in model.named_parameters() if p.ndim > 1}

    @method(name="clears")
    def _clears(weights: Tree, batches: Any) -> Tree:
        batches.clear()
        return weights

    assert "trains changed the model it was given" in refused(tmp_path / "a", "score", methods=["trains"])
    assert "clears changed the batches it was given" in refused(tmp_path / "b", "score", methods=["clears"])


def test_a_check_sees_the_layers_in_the_order_of_the_network_every_time(tmp_path: Path) -> None:
    """Artefacts are read back in an order that changes from call to call; draws layer by layer would change with it."""
    seen: list[list[str]] = []

    @check(at="weights", name="mine")
    def _mine(weights: Tree, masks: Tree, initial: Tree) -> Tree:
        seen.extend(map(list, (weights, masks, initial)))
        return {name: -weight for name, weight in weights.items()}

    for n in range(5):
        lab(tmp_path / str(n), checks=["mine"], methods=["magnitude_init"]).perform()
    order = ["conv1.weight", "conv2.weight", "conv3.weight", "fc.weight"]
    assert seen == [order] * 15


def test_the_same_corruption_every_time(tmp_path: Path) -> None:
    everything = ["layerwise_rearrange", "layerwise_weight_shuffle", "planted", "random_labels", "random_pixels"]
    rooms = [lab(tmp_path / str(n), checks=everything).perform() for n in range(3)]
    for step in rooms[0].kinds("corrupt") + rooms[0].kinds("score"):
        for file in rooms[0].context.store.names(step.key):
            assert len({room.bytes(step.key, file) for room in rooms}) == 1, (step.title, file)


def same_in_both(one: Lab, other: Lab) -> bool:
    return all(
        one.bytes(s.key, "scores.safetensors") == other.bytes(s.key, "scores.safetensors") for s in one.kinds("score")
    )


def test_a_method_that_draws_from_global_generators_is_harmless(tmp_path: Path) -> None:
    """Same scores whatever was drawn before, and the draws of others are the same with and without it."""
    import random

    import numpy as np

    @method(name="careless")
    def _careless(weights: Tree) -> Tree:
        extra = random.random() + np.random.rand()  # noqa: NPY002
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        return {name: torch.rand_like(weight) + extra for name, weight in weights.items()}

    rooms = []
    for name in ("a", "b"):
        random.seed(name)
        torch.rand(len(rooms) + 1)
        before = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002
        rooms.append(lab(tmp_path / name, methods=["careless", "random_ticket"]).perform())
        after = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002
        assert before == after
    assert same_in_both(*rooms)
    alone = lab(tmp_path / "alone", methods=["random_ticket"]).perform()
    key = alone.arm("random_ticket").train
    assert alone.bytes(key) == rooms[0].bytes(key)
