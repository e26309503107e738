"""Recognition of structured masks, and other arrangements of them. Truth is planted: masks are drawn from a pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import prunecheck
from prunecheck.errors import PluginError
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import random_mask
from prunecheck.pruning.patterns import parse_pattern, pattern_in_words
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.select_pattern import random_masks_under
from prunecheck.pruning.structure import (
    has_pattern,
    other_arrangement,
    partly_rearranged,
    patterns_of,
    rearranged,
)

CONV, LINEAR = (32, 16, 3, 3), (48, 64)
DRAWN = [
    ("2:4", CONV, "2:4"),
    ("4:8", CONV, "4:8"),
    ("2:4", LINEAR, "2:4"),
    ("1:4", LINEAR, "1:4"),
    ("3:4", LINEAR, "3:4"),
    ("5:16", LINEAR, "5:16"),
    ("filters", CONV, "filters"),
    ("rows", LINEAR, "rows"),
    ("columns", CONV, "columns"),
    ("columns", LINEAR, "columns"),
    ("kernels", CONV, "kernels"),
    ("4x4", CONV, "4x4"),
    ("4x4", LINEAR, "4x4"),
    ("1x8", LINEAR, "1x8"),
    ("16x1", LINEAR, "16x1"),
    ("3x2", LINEAR, "3x2"),
]


def drawn(text: str, shape: tuple[int, ...], seed: int = 0, kept: float = 0.5) -> Tensor:
    """A random mask of the pattern; of whole groups, about that fraction of them is kept."""
    pattern, layer = parse_pattern(text), Layer("w", "linear" if len(shape) == 2 else "conv", shape)
    groups = pattern.groups(shape)
    count = round(kept * len(groups)) * groups.shape[1]
    if pattern.is_within_groups:
        count = layer.size * pattern.size[0] // pattern.size[1]
    return random_masks_under(pattern, (layer,), {"w": count}, stream(seed, "drawn", text))["w"]


@pytest.mark.parametrize(("text", "shape", "name"), DRAWN)
def test_pattern_of_a_mask_is_recognised(text: str, shape: tuple[int, ...], name: str) -> None:
    for seed in range(5):
        assert patterns_of({"w": drawn(text, shape, seed)}) == {"w": name}


@pytest.mark.parametrize(("text", "shape", "name"), DRAWN)
def test_one_weight_elsewhere_is_no_pattern(text: str, shape: tuple[int, ...], name: str) -> None:
    mask = drawn(text, shape)
    flat = mask.reshape(-1)
    kept, removed = int(torch.nonzero(flat)[-1]), int(torch.nonzero(~flat)[0])
    flat[kept], flat[removed] = False, True
    assert patterns_of({"w": mask})["w"] != name


def test_heads_that_go_together_are_one_group() -> None:
    heads = torch.tensor([True, False, True, True, False, True, False, True]).repeat_interleave(16)
    assert patterns_of({"w": heads[:, None].expand(128, 64)})["w"] == "16 rows"
    assert patterns_of({"w": heads[None].expand(64, 128)})["w"] == "16 columns"


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("shape", [(64, 3, 3, 3), (32, 32, 3, 3), (10, 64), (300, 784), (6, 1, 5, 5), (4, 4)])
def test_random_masks_have_no_pattern(shape: tuple[int, ...], sparsity: float) -> None:
    size = int(np.prod(shape))
    for seed in range(20):
        mask = random_mask(shape, round(size * (1 - sparsity)), stream(seed, "random"))
        assert patterns_of({"w": mask}) == {"w": None}


def test_whole_and_empty_layers_have_no_pattern() -> None:
    masks = {"whole": torch.ones(8, 8, dtype=torch.bool), "empty": torch.zeros(8, 8, dtype=torch.bool)}
    assert patterns_of(masks) == {"whole": None, "empty": None}


def test_small_layer_is_recognised_beside_a_large_one_only() -> None:
    small = torch.zeros(6, 4, dtype=torch.bool)
    small[[0, 3, 4]] = True
    assert patterns_of({"small": small}) == {"small": None}
    beside = patterns_of({"small": small, "large": drawn("filters", CONV)})
    assert beside == {"small": "rows", "large": "filters"}
    assert patterns_of({"small": small, "large": drawn("2:4", LINEAR)})["small"] is None
    assert patterns_of({"small": small}, parse_pattern("rows")) == {"small": "rows"}


def test_a_pattern_that_was_asked_for_is_named_only_where_it_is_followed() -> None:
    masks = {"a": drawn("2:4", LINEAR), "b": random_mask(LINEAR, 1000, stream(0, "b"))}
    assert patterns_of(masks, parse_pattern("2:4")) == {"a": "2:4", "b": None}


def naive_has(mask: Tensor, text: str) -> bool:
    """Weight by weight, for linear layers."""
    rows, columns = mask.shape
    if text == "rows":
        return all(len(set(mask[i].tolist())) == 1 for i in range(rows))
    if text == "columns":
        return all(len(set(mask[:, j].tolist())) == 1 for j in range(columns))
    if ":" in text:
        n, m = map(int, text.split(":"))
        return all(int(mask[i, j : j + m].sum()) == n for i in range(rows) for j in range(0, columns, m))
    a, b = map(int, text.split("x"))
    tiles = [mask[i : i + a, j : j + b] for i in range(0, rows, a) for j in range(0, columns, b)]
    return all(bool(tile.all()) or not bool(tile.any()) for tile in tiles)


@pytest.mark.parametrize("asked", ["rows", "columns", "2:4", "1:2", "4x4", "1x2"])
def test_has_pattern_agrees_with_the_definition(asked: str) -> None:
    for text in ("rows", "columns", "2:4", "1:2", "4x4", "2x2", "1x4"):
        mask = drawn(text, (16, 16))
        assert has_pattern(mask, parse_pattern(asked)) is naive_has(mask, asked)


@pytest.mark.parametrize(("text", "shape", "name"), DRAWN)
def test_other_arrangement_keeps_pattern_and_count(text: str, shape: tuple[int, ...], name: str) -> None:
    mask = drawn(text, shape)
    before = mask.clone()
    first, again, other = (rearranged(mask, name, stream(seed, "check")) for seed in (1, 1, 2))
    assert torch.equal(mask, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, mask)
    assert int(first.sum()) == int(mask.sum())
    assert has_pattern(first, parse_pattern(name))


def test_every_arrangement_of_filters_is_equally_likely() -> None:
    mask = torch.zeros(4, 3, 2, 2, dtype=torch.bool)
    mask[:2] = True
    rng, seen = stream(0, "check"), dict[tuple[bool, ...], int]()
    for _ in range(1200):
        kept = tuple(rearranged(mask, "filters", rng)[:, 0, 0, 0].tolist())
        seen[kept] = seen.get(kept, 0) + 1
    assert len(seen) == 6
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


def test_every_arrangement_of_a_group_is_equally_likely_and_groups_are_independent() -> None:
    mask = torch.tensor([[True, True, False, False, True, True, False, False]])
    rng, seen = stream(0, "check"), dict[tuple[bool, ...], int]()
    for _ in range(3600):
        kept = tuple(rearranged(mask, "2:4", rng)[0].tolist())
        seen[kept] = seen.get(kept, 0) + 1
    assert len(seen) == 36
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


def test_draw_that_changes_nothing_is_repeated() -> None:
    """One of two filters is kept: half of the draws give the same mask."""
    mask = torch.zeros(2, 64, 3, 3, dtype=torch.bool)
    mask[1] = True
    masks, patterns = {"w": mask, "plain": torch.ones(2, 2, dtype=torch.bool)}, {"w": "filters", "plain": None}
    for seed in range(20):
        after = other_arrangement(masks, patterns, stream(seed, "check"))
        assert torch.equal(after["w"], ~mask)


def test_mask_without_the_pattern_is_refused() -> None:
    mask = random_mask((8, 8), 30, stream(0, "mask"))
    with pytest.raises(PluginError, match=r"a mask of shape \(8, 8\) has not the pattern '2:4'"):
        rearranged(mask, "2:4", stream(0, "check"))
    with pytest.raises(PluginError, match="has not the pattern 'rows'"):
        partly_rearranged(torch.ones(8, 8, dtype=torch.bool), "rows", stream(0, "check"), 0.5)


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
@pytest.mark.parametrize(("text", "shape", "name"), DRAWN)
def test_share_of_the_groups_moves(text: str, shape: tuple[int, ...], name: str, share: float) -> None:
    mask, pattern = drawn(text, shape, kept=0.25), parse_pattern(name)
    after = partly_rearranged(mask, name, stream(0, "check"), share)
    assert int(after.sum()) == int(mask.sum())
    assert has_pattern(after, pattern)
    groups = pattern.groups(shape)
    changed = (mask.reshape(-1).numpy()[groups] != after.reshape(-1).numpy()[groups]).any(axis=1).sum()
    kept = len(groups) if pattern.is_within_groups else int(mask.sum()) // groups.shape[1]
    moved = max(1, round(share * kept))
    assert changed <= (moved if pattern.is_within_groups else 2 * moved)


def test_words_name_the_patterns_and_how_many_layers_have_them() -> None:
    assert pattern_in_words({"a": None, "b": None}) == ""
    assert pattern_in_words({"a": None, "b": "2:4", "c": "2:4"}) == "2:4 in 2 of 3 layers"
    assert pattern_in_words({"a": "filters", "b": "rows"}) == "filters in 1, rows in 1 of 2 layers"


def test_permuted_of_plug_ins_keeps_a_pattern_on_request() -> None:
    mask = drawn("2:4", LINEAR)
    assert has_pattern(prunecheck.permuted(mask, stream(0, "check"), "2:4"), parse_pattern("2:4"))
    assert not has_pattern(prunecheck.permuted(mask, stream(0, "check")), parse_pattern("2:4"))


@pytest.mark.parametrize("make", [lambda w: w.t().contiguous().t(), lambda w: w])
def test_memory_layout_of_a_mask_does_not_matter(make: Callable[[Tensor], Tensor]) -> None:
    mask = make(drawn("1x8", LINEAR))
    assert patterns_of({"w": mask}) == {"w": "1x8"}
