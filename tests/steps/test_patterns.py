"""Structured patterns through the steps: masks of every pattern, and every check of masks on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import prunecheck
from prunecheck.errors import PluginError
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.structure import has_pattern, patterns_of
from prunecheck.steps import perform

from .lab import Lab, lab

PATTERNS = ["2:4", "filters", "rows", "columns", "kernels", "2x4", "2 rows"]
KEEPING = ["layerwise_rearrange", {"name": "layerwise_rearrange", "dose": 0.4}, "planted"]
CHECKS = [*KEEPING, "unstructured_rearrange", "invert"]
LABELS = ["layerwise_rearrange", "layerwise_rearrange@0.4", "planted", "unstructured_rearrange", "invert"]


def masked(folder: Path, **changes: Any) -> Lab:
    """A study with everything but its trainings performed."""
    given = {"methods": ["magnitude_init", "random_ticket"], "checks": CHECKS, "sparsities": [0.5], "seeds": 2}
    room = lab(folder, **given | {"controls": []} | changes)
    for arm in room.plan.arms:
        for key in (arm.mask, arm.compare):
            if key is not None:
                room.perform_inputs(room.step(key))
                if not room.context.store.has(key):
                    perform(room.step(key), room.context)
    return room


@pytest.mark.parametrize("text", PATTERNS)
def test_every_check_of_masks_keeps_counts_and_pattern_or_says_otherwise(text: str, tmp_path: Path) -> None:
    room, pattern = masked(tmp_path, pattern=text), parse_pattern(text)
    for name in ("magnitude_init", "random_ticket"):
        for seed in (0, 1):
            key = room.arm(name, seed=seed).mask or ""
            clean, found = room.tree(key, "masks"), room.facts(key)["patterns"]
            structured = {layer for layer in clean if found[layer] == text}
            assert structured
            assert room.facts(key)["saves"]
            assert all(bool(clean[layer].all()) for layer in clean if layer not in structured)
            for label in LABELS if name == "magnitude_init" else LABELS[:-1]:
                arm = room.arm(name, label, seed)
                after = room.tree(arm.mask or "", "masks")
                assert not all(torch.equal(clean[layer], after[layer]) for layer in clean)
                if label == "invert":
                    continue  # redistributes the counts
                assert counts_of(after) == counts_of(clean)
                kept = {layer for layer in clean if has_pattern(after[layer], pattern)}
                if label == "unstructured_rearrange":
                    assert kept < structured
                    assert "patterns" not in room.facts(arm.mask or "")
                else:
                    assert kept == structured
                    assert room.facts(arm.mask or "")["patterns"] == found


def test_seeds_draw_other_arrangements(tmp_path: Path) -> None:
    room = masked(tmp_path, pattern="filters", methods=["synflow"], checks=["layerwise_rearrange"])
    masks = [room.tree(room.arm("synflow", "layerwise_rearrange", seed).mask or "", "masks") for seed in (0, 1)]
    assert not all(torch.equal(masks[0][layer], masks[1][layer]) for layer in masks[0])


def test_patterns_in_the_masks_of_a_plug_in_are_recognised_and_kept(tmp_path: Path) -> None:
    @prunecheck.method(gives="masks", name="every_other_filter")
    def every_other_filter(layers: tuple[Layer, ...]) -> dict[str, torch.Tensor]:
        masks = {la.name: torch.ones(la.shape, dtype=torch.bool) for la in layers}
        for layer in layers[:-1]:
            masks[layer.name][::2] = False
        return masks

    checks = ["layerwise_rearrange", "unstructured_rearrange"]
    room = masked(tmp_path, methods=["every_other_filter"], checks=checks, sparsities=[0.487])
    clean = room.tree(room.arm("every_other_filter").mask or "", "masks")
    expected = {name: None if bool(mask.all()) else "filters" for name, mask in clean.items()}
    arm = room.arm("every_other_filter", "layerwise_rearrange")
    assert patterns_of(room.tree(arm.mask or "", "masks")) == expected
    assert room.facts(arm.mask or "")["patterns"] == expected
    free = room.arm("every_other_filter", "unstructured_rearrange").mask or ""
    assert patterns_of(room.tree(free, "masks")) == dict.fromkeys(clean)


def test_masks_with_one_arrangement_are_refused_in_one_sentence(tmp_path: Path) -> None:
    @prunecheck.method(gives="masks", name="drops_a_layer")
    def drops_a_layer(layers: tuple[Layer, ...]) -> dict[str, torch.Tensor]:
        return {la.name: torch.full(la.shape, la is not layers[1]) for la in layers}

    room = lab(tmp_path, methods=["drops_a_layer"], checks=["layerwise_rearrange"], sparsities=[0.193], controls=[])
    step = room.step(room.arm("drops_a_layer", "layerwise_rearrange").mask or "")
    room.perform_inputs(step)
    with pytest.raises(PluginError) as caught:
        perform(step, room.context)
    assert "left every tensor at 'masks' unchanged: it tests nothing here" in str(caught.value)
