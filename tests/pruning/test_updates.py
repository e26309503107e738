# ruff: noqa: ARG005 (what a plug-in asks for, it need not use)
"""Updates of a mask: against the published update written naively, exact counts, and what plug-ins may not return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, METHODS, check, method
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import counts_of, permuted, random_masks
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.updates import Update, at_random, corrupted_update, drop_and_grow, run_update

LAYERS = (
    Layer("conv.weight", "conv", (8, 3, 3, 3)),
    Layer("dense.weight", "conv", (4, 8, 1, 1)),
    Layer("empty.weight", "conv", (4, 4, 1, 1)),
    Layer("fc.weight", "linear", (10, 12)),
)
COUNTS = {"conv.weight": 50, "dense.weight": 32, "empty.weight": 0, "fc.weight": 31}
Tree = dict[str, Tensor]


def noise(seed: int) -> Tree:
    generator = torch.Generator().manual_seed(seed)
    return {layer.name: torch.randn(layer.shape, generator=generator) for layer in LAYERS}


def some_masks(seed: int = 0) -> Tree:
    return random_masks(LAYERS, COUNTS, stream(seed, "masks"))


def offer(seed: int = 0, fraction: float = 0.3) -> dict[str, Any]:
    masks = some_masks(seed)
    gradients = noise(seed + 2)
    return {
        "weights": {name: weight * masks[name] for name, weight in noise(seed + 1).items()},
        "gradients": gradients,
        "momentum": {name: gradient * masks[name] for name, gradient in gradients.items()},
        "masks": masks,
        "layers": LAYERS,
        "fraction": fraction,
        "progress": 0.2,
        "rng": stream(seed, "growth"),
    }


def naive_update(mask: np.ndarray, drop: np.ndarray, grow: np.ndarray, fraction: float) -> np.ndarray:
    """One layer of RigL's update, step by step as ``_get_update_op`` of google-research/rigl
    (rigl/sparse_optimizers_base.py, commit of 2022) does it, without the noise that it adds to the drop scores: all
    positions sorted by |w * mask|, the first n_keep are ones; the grow scores of those ones are lowered below all
    others; all positions sorted again, the first n_prune are ones too. top_k puts the earlier of equals first."""
    flat = mask.reshape(-1)
    n_ones = int(flat.sum())
    n_prune = int(n_ones * fraction)
    n_keep = n_ones - n_prune
    order = np.argsort(-drop.reshape(-1), kind="stable")
    mask1 = np.zeros(flat.size, dtype=bool)
    mask1[order[:n_keep]] = True
    lifted = np.where(mask1, grow.min() - 1, grow.reshape(-1))
    mask2 = np.zeros(flat.size, dtype=bool)
    mask2[np.argsort(-lifted, kind="stable")[:n_prune]] = True
    assert not (mask1 & mask2).any()
    return (mask1 | mask2).reshape(mask.shape)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.15, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_rigl_equals_the_published_update(seed: int, fraction: float) -> None:
    given = offer(seed, fraction)
    after = run_update(METHODS.get("rigl"), given, METHODS.get("rigl").options, LAYERS).masks
    for name, mask in given["masks"].items():
        drop, grow = (given[what][name].abs().numpy() for what in ("weights", "gradients"))
        assert np.array_equal(after[name].numpy(), naive_update(mask.numpy(), drop, grow, fraction)), name


@pytest.mark.parametrize("fraction", [0.15, 0.3, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_set_equals_the_published_update_on_the_same_draws(seed: int, fraction: float) -> None:
    """``generic_mask_update`` of the published SET optimiser: the grow scores are uniform random numbers."""
    given, draws = offer(seed, fraction), stream(seed, "growth")
    after = run_update(METHODS.get("set"), given, METHODS.get("set").options, LAYERS).masks
    for name, mask in given["masks"].items():
        grow = draws.random(tuple(mask.shape), dtype=np.float32)
        drop = given["weights"][name].abs().numpy()
        assert np.array_equal(after[name].numpy(), naive_update(mask.numpy(), drop, grow, fraction)), name


@pytest.mark.parametrize("seed", range(4))
def test_rigl_under_random_growth_equals_set_on_the_same_draws(seed: int) -> None:
    rigl, set_, growth = METHODS.get("rigl"), METHODS.get("set"), CHECKS.get("random_growth")
    update = run_update(rigl, offer(seed), rigl.options, LAYERS)
    corrupted = corrupted_update(growth, update, {}, stream(seed, "growth"), LAYERS)
    expected = run_update(set_, offer(seed), set_.options, LAYERS)
    assert all(torch.equal(corrupted.masks[name], mask) for name, mask in expected.masks.items())
    assert corrupted.counts() == expected.counts()
    assert any(not torch.equal(update.masks[name], mask) for name, mask in expected.masks.items())


@pytest.mark.parametrize("fraction", [0.0, 0.013, 0.3, 1.0])
@pytest.mark.parametrize("name", ["rigl", "set"])
def test_every_layer_keeps_its_exact_count(name: str, fraction: float) -> None:
    method = METHODS.get(name)
    given = offer(5, fraction)
    update = run_update(method, given, method.options, LAYERS)
    assert counts_of(update.masks) == COUNTS
    assert counts_of(update.kept) == {layer: kept - int(kept * fraction) for layer, kept in COUNTS.items()}
    for layer, mask in update.masks.items():
        assert not (update.kept[layer] & ~mask).any()
        assert not (update.kept[layer] & ~given["masks"][layer]).any()


def test_counts_are_exact_under_ties() -> None:
    flat = {layer.name: torch.ones(layer.shape) for layer in LAYERS}
    update = drop_and_grow(some_masks(), flat, flat, 0.3)
    assert counts_of(update.masks) == COUNTS


def test_dropped_weights_can_grow_again() -> None:
    """As in the published code, which only excludes the weights that the drop leaves."""
    masks = {"a": torch.tensor([True, True, False, False])}
    keep, grow = {"a": torch.tensor([3.0, 1.0, 0.0, 0.0])}, {"a": torch.tensor([0.0, 9.0, 1.0, 2.0])}
    update = drop_and_grow(masks, keep, grow, 0.5)
    assert update.masks["a"].tolist() == [True, True, False, False]
    assert update.counts() == {"dropped": 0, "grown": 0, "regrown": 1}
    assert not update.changes


def test_counts_of_an_update() -> None:
    before, kept = torch.tensor([1, 1, 1, 0, 0, 0]).bool(), torch.tensor([1, 0, 0, 0, 0, 0]).bool()
    update = Update({"a": before}, {"a": kept}, {"a": torch.tensor([1, 1, 0, 0, 1, 0]).bool()})
    assert update.counts() == {"dropped": 1, "grown": 1, "regrown": 1}
    assert update.changes


def test_frozen_topology_returns_the_mask_before_the_update() -> None:
    given = offer()
    update = run_update(METHODS.get("rigl"), given, {}, LAYERS)
    frozen = corrupted_update(CHECKS.get("frozen_topology"), update, {}, stream(0, "x"), LAYERS)
    assert update.changes
    assert not frozen.changes
    assert frozen.counts()["grown"] == 0


def test_a_method_that_returns_masks_may_move_weights_between_layers() -> None:
    @method(when="during", gives="masks")
    def mover(masks: Tree) -> Tree:
        moved = {name: mask.clone() for name, mask in masks.items()}
        moved["fc.weight"][moved["fc.weight"].nonzero()[0].tolist()] = False
        fc, conv = moved["fc.weight"], moved["conv.weight"].reshape(-1)
        fc.reshape(-1)[fc.reshape(-1).nonzero()[0]] = False
        conv[(~conv).nonzero()[: int(masks["fc.weight"].sum() - fc.sum())]] = True
        return moved

    update = run_update(mover, offer(), mover.options, LAYERS)
    after = counts_of(update.masks)
    assert sum(after.values()) == sum(COUNTS.values())
    assert after["conv.weight"] > COUNTS["conv.weight"]
    assert all(torch.equal(kept, update.before[n] & update.masks[n]) for n, kept in update.kept.items())
    growth = corrupted_update(CHECKS.get("random_growth"), update, {}, stream(1, "x"), LAYERS)
    assert counts_of(growth.masks) == after


def hook(answer: Any) -> Any:
    def wrong(masks: Tree, weights: Tree) -> Any:
        return answer(masks, weights)

    return wrong


@pytest.mark.parametrize(
    ("gives", "answer", "message"),
    [
        ("scores", lambda masks, weights: weights, r"returned dict; at an update it must return two sets of scores"),
        ("scores", lambda masks, weights: (weights, {}), r"nothing for conv\.weight"),
        ("scores", lambda masks, weights: (weights, {n: w / 0 for n, w in weights.items()}), "NaN or infinite"),
        ("masks", lambda masks, weights: {n: ~m for n, m in masks.items()}, r"keeps 271 weights after .* 113"),
        ("masks", lambda masks, weights: weights, "a mask is bool"),
        ("masks", lambda masks, weights: [m.logical_not_() for m in masks.values()] and masks, "work on a copy"),
    ],
)
def test_wrong_answers_of_a_method_are_refused(gives: Any, answer: Any, message: str) -> None:
    plugin = method(when="during", gives=gives)(hook(answer))
    with pytest.raises(PluginError, match=rf"wrong.*{message}"):
        run_update(plugin, offer(), plugin.options, LAYERS)


def test_a_check_that_breaks_its_promise_is_refused() -> None:
    @check(at="updates")
    def more(updates: Tree) -> Tree:
        return {name: torch.ones_like(mask) for name, mask in updates.items()}

    @check(at="updates", preserves="counts")
    def moved(updates: Tree) -> Tree:
        swapped = dict(updates)
        swapped["conv.weight"] = torch.zeros_like(updates["conv.weight"])
        swapped["conv.weight"].reshape(-1)[:81] = True
        swapped["fc.weight"] = torch.zeros_like(updates["fc.weight"])
        return swapped

    @check(at="updates", changes=False)
    def liar(updates: Tree, rng: Any) -> Tree:
        return {name: permuted(mask, rng) for name, mask in updates.items()}

    update = run_update(METHODS.get("rigl"), offer(), {}, LAYERS)
    for broken, message in (
        (more, "keeps 384 weights after an update and 113 before it"),
        (moved, "promised to keep the counts"),
        (liar, "declared to change nothing"),
    ):
        with pytest.raises(PluginError, match=message):
            corrupted_update(broken, update, {}, stream(0, "x"), LAYERS)


def test_random_scores_follow_the_generator_alone() -> None:
    first, again = (at_random(some_masks(), stream(3, "x")) for _ in range(2))
    assert all(torch.equal(scores, again[name]) for name, scores in first.items())
    assert {scores.dtype for scores in first.values()} == {torch.float32}
    assert all(tuple(first[layer.name].shape) == layer.shape for layer in LAYERS)
