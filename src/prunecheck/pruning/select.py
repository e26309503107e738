"""From scores to masks: exact counts, or the selection rule of a published code where a preset asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning import Allocation, Method
from prunecheck.pruning.allocate import allocate
from prunecheck.pruning.counts import Counts
from prunecheck.pruning.layers import Layer, total
from prunecheck.pruning.masks import Masks, Selection, global_counts, global_cut, keep_top, threshold
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.presets import Rule, Whole, preset_named, rule_for, whole_for
from prunecheck.pruning.select_pattern import counts_under, select_under


def counts_ahead(
    method: Method,
    allocation: Allocation,
    layers: tuple[Layer, ...],
    sparsity: float,
    *,
    pattern: str | None = None,
    **how: Any,
) -> Counts | None:
    """The counts a mask-giving method is held to (``how``: as of ``allocate``); None where its allocation goes by
    scores, which it has none of: then it decides itself, and only the total is held. Raises PluginError where the
    method asks for counts that cannot be."""
    parsed = None if pattern is None else parse_pattern(pattern)
    if "scores" not in allocation.asks or (parsed is not None and parsed.is_within_groups):
        if parsed is not None:
            return counts_under(parsed, allocation, layers, sparsity, **how)
        return allocate(allocation, layers, sparsity, **how)
    if "counts" in method.asks:
        raise PluginError(
            f"method {method.name!r} asks for 'counts', but {allocation.name!r} needs scores to say how many. "
            "Choose another allocate, e.g. smart_ratio, erk or uniform."
        )
    return None


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
    pattern: str | None = None,
) -> Selection:
    """The mask of the best scores, or the best groups of a pattern. Weights an earlier round pruned stay pruned,
    whatever they score."""
    scores = {layer.name: scores[layer.name] for layer in layers}  # ties go to the earlier layer of the network
    if previous is not None:
        scores = {name: s.masked_fill(~previous[name], -torch.inf) for name, s in scores.items()}
    if pattern is not None:
        how: dict[str, Any] = {"family": family, "options": options, "given": given, "preset": preset}
        return select_under(parse_pattern(pattern), allocation, layers, scores, sparsity, **how)
    rule = rule_for(preset, method)
    if preset is None or rule is None or allocation.pool is None:
        counts = allocate(
            allocation, layers, sparsity, family=family, options=options, scores=scores, given=given, preset=preset
        )
        return keep_top(scores, counts)
    ranked = [layer for layer in layers if layer.kind in allocation.pool]
    alone = left_whole(whole_for(preset, method), ranked, family)
    pool = {layer.name: scores[layer.name] for layer in ranked if layer.name not in alone}
    # The sparsity of some published codes counts the layers that they keep whole, that of others does not.
    counted = layers if preset_named(preset).counts_whole else tuple(la for la in layers if la.name in pool)
    masks, tied = _above(pool, rule, total(counted), sparsity)
    whole = {la.name: torch.ones(la.shape, dtype=torch.bool) for la in layers if la.name not in pool}
    every = masks | whole
    return Selection({layer.name: every[layer.name] for layer in layers}, tied)


def _above(pool: Mapping[str, Tensor], rule: Rule, n: int, sparsity: float) -> tuple[Masks, int]:
    """What a rule keeps of the pool, *n* being the weights its sparsity counts; and how many ties position decided."""
    size, rank = sum(score.numel() for score in pool.values()), rule.rank(n, sparsity)
    # A published rule may give a rank outside of the pool: then all or none of it stays.
    if not 0 <= rank < size:
        return {name: torch.full_like(s, rank < 0, dtype=torch.bool) for name, s in pool.items()}, 0
    if rule.exact:
        chosen = keep_top(pool, global_counts(pool, size - rank))
        return chosen.masks, chosen.tied
    return threshold(pool, global_cut(pool, size - rank), strict=rule.strict), 0


def left_whole(whole: Whole, ranked: Sequence[Layer], family: str) -> set[str]:
    """The layers among *ranked* that a published code does not prune."""
    linear = [layer.name for layer in ranked if layer.kind == "linear"]
    if whole == "linear":
        return set(linear)
    classifier = whole == "classifier" or (whole == "classifier of VGG" and family == "vgg")
    return set(linear[-1:]) if classifier else set()
