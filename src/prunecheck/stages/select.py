"""From scores to masks: exact counts, or the selection rule of a published code where a preset asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from prunecheck.allocations.smart_ratio import official_counts
from prunecheck.core.counts import Counts, check_counts
from prunecheck.core.layers import Layer, total
from prunecheck.core.masks import Selection, global_cut, keep_top, threshold
from prunecheck.core.presets import preset_named, rule_for
from prunecheck.plugins import Allocation
from prunecheck.plugins.guards import ask


def family_of(model: str) -> str:
    """``vgg`` for networks named or classed so, else ``resnet``: the smart ratio has a form for each."""
    return "vgg" if model.rpartition(":")[2].lower().startswith("vgg") else "resnet"


def allocate(
    allocation: Allocation,
    layers: tuple[Layer, ...],
    sparsity: float,
    *,
    family: str,
    options: Mapping[str, Any],
    scores: Mapping[str, Tensor] | None = None,
    given: Mapping[str, int] | None = None,
    preset: str | None = None,
) -> Counts:
    """How many weights each layer keeps, verified to be possible. Raises InfeasibleError."""
    if allocation.name == "smart_ratio" and preset is not None and preset_named(preset).official_smart_ratio:
        return official_counts(layers, sparsity, family, **options)
    offer = {"layers": layers, "sparsity": sparsity, "scores": scores, "given": given, "family": family}
    counts = ask(allocation, offer, options)
    check_counts(counts, {layer.name: layer.size for layer in layers})
    return counts if isinstance(counts, Counts) else Counts(counts)


def select(
    allocation: Allocation,
    layers: tuple[Layer, ...],
    scores: Mapping[str, Tensor],
    sparsity: float,
    *,
    method: str,
    family: str,
    options: Mapping[str, Any],
    given: Mapping[str, int] | None = None,
    preset: str | None = None,
    previous: Mapping[str, Tensor] | None = None,
) -> Selection:
    """The mask of the best scores. Weights an earlier round pruned stay pruned, whatever they score."""
    scores = {layer.name: scores[layer.name] for layer in layers}  # ties go to the earlier layer of the network
    if previous is not None:
        scores = {name: s.masked_fill(~previous[name], -torch.inf) for name, s in scores.items()}
    rule = rule_for(preset, method)
    if rule is None or allocation.pool is None:
        counts = allocate(
            allocation, layers, sparsity, family=family, options=options, scores=scores, given=given, preset=preset
        )
        return keep_top(scores, counts)
    pool = {layer.name: scores[layer.name] for layer in layers if layer.kind in allocation.pool}
    size = sum(score.numel() for score in pool.values())
    rank = rule.rank(total(layers), sparsity)
    if not 0 <= rank < size:
        masks = {name: torch.full_like(s, rank < 0, dtype=torch.bool) for name, s in pool.items()}
    else:
        masks = threshold(pool, global_cut(pool, size - rank), strict=rule.strict)
    whole = {la.name: torch.ones(la.shape, dtype=torch.bool) for la in layers if la.name not in pool}
    every = masks | whole
    return Selection({layer.name: every[layer.name] for layer in layers}, 0)
