"""The framework catches plug-ins that break the contract: each of these did, in published code or in a bad dream."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from prunecheck.errors import PluginError
from prunecheck.pruning import check, method
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.validation import (
    same_layout,
    validate_batches,
    validate_corruption,
    validate_masks,
    validate_scores,
    validate_weights,
)

LAYERS = (Layer("a", "conv", (2, 3)), Layer("b", "linear", (4,)))
Tree = dict[str, Tensor]


def tree() -> Tree:
    return {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


def in_place(weights: Tree) -> Tree:
    weights["a"].abs_().add_(1)
    return weights


def forgets_a_layer(weights: Tree) -> Tree:
    weights.pop("a")
    return weights


def trains_the_model(model: nn.Linear) -> Tree:
    model.weight.data += 1
    return {}


def shuffles_the_data(batches: list[tuple[Tensor, Tensor]]) -> Tree:
    batches[0][0].zero_()
    return {}


@pytest.mark.parametrize(
    ("function", "named"),
    [(in_place, "weights"), (forgets_a_layer, "weights"), (trains_the_model, "model"), (shuffles_the_data, "batches")],
)
def test_what_a_plugin_was_given_must_stay_as_it_was(function: Callable[..., Any], named: str) -> None:
    offer = {"weights": tree(), "model": nn.Linear(2, 2), "batches": [(torch.ones(2, 2), torch.ones(2))]}
    with pytest.raises(PluginError, match=f"{function.__name__} changed the {named} it was given"):
        call_plugin(method(function), offer, {})


@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_what_a_plugin_spoilt_is_put_back_for_others(raises: bool) -> None:
    """The training set is in memory once; after a refusal the next step must find it as it was."""
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    inputs, targets = torch.from_numpy(pixels), torch.tensor([0, 1, 2])
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = {name: value.clone() for name, value in model.state_dict().items()}

    @method
    def vandal(batches: Any, weights: Tree, model: nn.Module) -> Tree:
        batches[0].zero_()
        batches[1].resize_(1)
        weights["a"].mul_(float("nan"))
        model(torch.rand(4, 2)).sum().backward()
        model[0].weight.data.add_(1)
        if raises:
            raise ValueError("and then it fell over")
        return weights

    weights = tree()
    offer = {"batches": (inputs, targets), "weights": weights, "model": model.train()}
    with pytest.raises(ValueError if raises else PluginError, match="fell over" if raises else "changed the batches"):
        call_plugin(vandal, offer, {})
    assert pixels.reshape(-1).tolist() == list(range(12))
    assert targets.tolist() == [0, 1, 2]
    assert torch.equal(weights["a"], tree()["a"])
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_a_plugin_gets_what_it_asks_for_and_its_options_and_nothing_else() -> None:
    @method
    def mine(weights: Tree, power: int = 1) -> Tree:
        return {name: weight**power for name, weight in weights.items()}

    offer = {"weights": {"a": torch.tensor([float("nan"), 3.0])}, "rng": None}
    assert call_plugin(mine, offer, {"power": 2})["a"][1] == 9
    assert call_plugin(mine, offer, {})["a"][1] == 3


def test_global_generators_stand_still_and_give_a_plugin_the_same_draws() -> None:
    @method
    def careless(weights: Tree) -> Tree:
        noise = random.random() + np.random.rand()  # noqa: NPY002
        return {name: torch.rand_like(weight) + noise for name, weight in weights.items()}

    before = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist())  # noqa: NPY002
    first, again = call_plugin(careless, {"weights": tree()}, {}), call_plugin(careless, {"weights": tree()}, {})
    after = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist())  # noqa: NPY002
    assert before == after
    assert torch.equal(first["a"], again["a"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, r"mine returned NoneType; it must return \{layer name: scores\}"),
        ([torch.ones(2, 3), torch.ones(4)], "returned list"),
        ({"a": torch.ones(2, 3)}, "returned nothing for b"),
        ({**tree(), "c": torch.ones(1)}, "returned unknown layers c"),
        ({**tree(), "b": torch.ones(5)}, r"scores of b has shape \(5,\); it must be \(4,\)"),
        ({**tree(), "b": 1.0}, "scores of b has shape float"),
    ],
)
def test_an_answer_of_another_layout(answer: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        same_layout("mine", "scores", answer, LAYERS)


def test_answers_come_back_in_layer_order() -> None:
    assert list(same_layout("mine", "scores", dict(reversed(tree().items())), LAYERS)) == ["a", "b"]


def test_scores_must_be_finite_and_come_back_plain() -> None:
    with pytest.raises(PluginError, match="mine: 1 of 4 scores of b are NaN or infinite"):
        validate_scores("mine", {**tree(), "b": torch.tensor([1, 2, 3, float("inf")])}, LAYERS)
    whole = validate_scores("mine", {"a": torch.ones(2, 3, requires_grad=True), "b": torch.arange(4)}, LAYERS)
    assert not whole["a"].requires_grad
    assert whole["b"].dtype == torch.float64  # where neighbours among 20 million ranks stay apart
    with pytest.raises(PluginError, match="mine: scores of b are complex numbers, which have no order"):
        validate_scores("mine", {**tree(), "b": torch.ones(4, dtype=torch.complex64)}, LAYERS)


def test_masks_must_be_bool_with_the_counts_asked_for() -> None:
    masks = {name: value > 1 for name, value in tree().items()}
    assert validate_masks("mine", masks, LAYERS, {"a": 4, "b": 0}).keys() == masks.keys()
    with pytest.raises(PluginError, match="the mask of a keeps 4 weights, not 3"):
        validate_masks("mine", masks, LAYERS, {"a": 3, "b": 0})
    with pytest.raises(PluginError, match=r"the mask of a is torch\.float32; a mask is bool"):
        validate_masks("mine", tree(), LAYERS, None)


def test_weights_must_be_finite_and_of_the_type_they_were() -> None:
    before = tree()
    assert validate_weights("mine", {"a": -before["a"], "b": before["b"]}, LAYERS, before)["a"][1, 2] == -5
    with pytest.raises(PluginError, match=r"mine: the weights of a are torch\.float64; they were torch\.float32"):
        validate_weights("mine", {"a": before["a"].double(), "b": before["b"]}, LAYERS, before)
    with pytest.raises(PluginError, match="mine: 2 of 4 weights of b are NaN or infinite"):
        validate_weights("mine", {**before, "b": torch.tensor([1, float("nan"), float("-inf"), 0])}, LAYERS, before)
    with pytest.raises(PluginError, match="nothing for b"):
        validate_weights("mine", {"a": before["a"]}, LAYERS, before)


IMAGES = torch.zeros((4, 1, 3, 3), dtype=torch.uint8)
LABELS = torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, r"returned NoneType; it must return the tensors \(inputs, targets\)"),
        ((IMAGES, LABELS, LABELS), "returned tuple"),
        ((IMAGES.numpy(), LABELS), "must return the tensors"),
        ((IMAGES, LABELS[:3]), "one target for every image"),
        ((IMAGES[:0], LABELS[:0]), "at least one image"),
        ((IMAGES, LABELS.reshape(2, 2)), "one target for every image"),
        ((IMAGES.float(), LABELS), r"returned torch\.float32 images \(4, 1, 3, 3\); .* uint8 images of 1 x 3 x 3"),
        ((IMAGES[:, :, 1:], LABELS), r"images \(4, 1, 2, 3\)"),
        ((IMAGES, LABELS.int()), r"not int64 numbers in 0\.\.2"),
        ((IMAGES, LABELS + 1), r"not int64 numbers in 0\.\.2"),
        ((IMAGES, LABELS - 1), r"not int64 numbers in 0\.\.2"),
    ],
)
def test_a_training_set_of_another_kind(answer: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        validate_batches("mine", answer, (IMAGES, LABELS), 3)


def test_a_training_set_may_grow_shrink_and_change() -> None:
    inputs, targets = validate_batches("mine", (IMAGES[:2] + 9, LABELS[:2]), (IMAGES, LABELS), 3)
    assert (int(inputs.max()), len(targets)) == (9, 2)


@pytest.mark.parametrize("type_", [torch.float64, torch.int32])
def test_the_same_numbers_in_another_type_are_no_change(type_: torch.dtype) -> None:
    @check(at="scores")
    def recast(scores: Tree) -> Tree:
        return {name: score.to(type_) for name, score in scores.items()}

    with pytest.raises(PluginError, match="'recast' left every tensor at 'scores' unchanged"):
        validate_corruption(recast, tree(), recast(tree()))


def test_a_corruption_that_corrupts_nothing_is_refused() -> None:
    @check(at="masks")
    def only_rebinds(masks: Tree) -> Tree:
        for mask in masks.values():
            mask = mask.flip(0)  # the published bug: a local name, never written back
        return masks

    before = {name: value > 1 for name, value in tree().items()}
    with pytest.raises(PluginError, match="'only_rebinds' left every tensor at 'masks' unchanged"):
        validate_corruption(only_rebinds, before, call_plugin(only_rebinds, {"masks": before}, {}))


def test_a_control_that_changes_something_is_refused() -> None:
    @check(at="masks", changes=False)
    def control(masks: Tree) -> Tree:
        return {name: ~mask for name, mask in masks.items()}

    before = {name: value > 1 for name, value in tree().items()}
    with pytest.raises(PluginError, match="declared to change nothing"):
        validate_corruption(control, before, control(before))


def test_promised_counts_and_values_are_verified() -> None:
    @check(at="masks", preserves="counts")
    def loses_one(masks: Tree) -> Tree:
        return {name: mask & (mask.cumsum(-1) > 1) for name, mask in masks.items()}

    masks = {name: value > 1 for name, value in tree().items()}
    with pytest.raises(PluginError, match="promised to keep the counts and changed that of a"):
        validate_corruption(loses_one, masks, loses_one(masks))

    @check(at="weights", preserves="values")
    def halves(weights: Tree) -> Tree:
        return {name: weight / 2 for name, weight in weights.items()}

    weights = {name: value * masks[name] for name, value in tree().items()}
    with pytest.raises(PluginError, match="promised to keep the kept values of a"):
        validate_corruption(halves, weights, halves(weights), masks)
    turned = {"a": weights["a"].flip(0, 1), "b": weights["b"]}  # the same multiset, at pruned positions
    with pytest.raises(PluginError, match="promised to keep the kept values of a"):
        validate_corruption(halves, weights, turned, masks)


def test_settings_that_a_plugin_changes_are_put_back_after_the_call() -> None:
    @method
    def careless(weights: Tree) -> Tree:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.autocast("cpu").__enter__()
        torch.backends.mkldnn.enabled = False
        return weights

    call_plugin(careless, {"weights": tree()}, {})
    product = torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)
    assert (product.dtype, product.requires_grad, torch.backends.mkldnn.enabled) == (torch.float32, True, True)


def test_plugin_records_gradients_whatever_mode_the_caller_is_in() -> None:
    @method
    def gradient_of_square(weights: Tree) -> Tree:
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        total = torch.stack([leaf.square().sum() for leaf in leaves.values()]).sum()
        return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))

    expected = {name: 2 * w for name, w in tree().items()}
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu")):
        given = tree()
        with mode:
            found = call_plugin(gradient_of_square, {"weights": given}, {})
        assert all(torch.equal(found[name], expected[name]) for name in expected)
