"""Masks of a structured pattern from the scores of single weights, with exact counts.

N:M: in every group the N weights with the largest scores. Whole groups: a group scores the mean of its weights, which
ranks the filters of a layer by their L1 norm where scores are magnitudes (Li et al. 2017) and compares groups of
different sizes; the allocation says how many weights of a layer stay, rounded to whole groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from prunecheck.errors import InfeasibleError
from prunecheck.pruning import Allocation
from prunecheck.pruning.allocate import allocate
from prunecheck.pruning.counts import Counts, budget_beside, removed_share
from prunecheck.pruning.layers import Layer, total
from prunecheck.pruning.masks import Masks, Selection, as_array
from prunecheck.pruning.patterns import Pattern, layers_under
from prunecheck.text import listing

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng


def select_under(
    pattern: Pattern,
    allocation: Allocation,
    layers: tuple[Layer, ...],
    scores: Mapping[str, Tensor],
    sparsity: float,
    **how: Any,
) -> Selection:
    """The mask of the best groups (``how``: as of ``allocate``). Layers that the pattern does not fit stay whole.

    Ties go to the earlier group or weight; ``tied`` counts the weights they decided. Raises InfeasibleError.
    """
    positions = {layer.name: pattern.groups(layer.shape) for layer in layers_under(pattern, layers)}
    grouped = {name: as_array(scores[name])[index] for name, index in positions.items()}
    if not pattern.is_within_groups:
        grouped = {name: score.astype(np.float64).mean(axis=1) for name, score in grouped.items()}
        spread = {name: _spread(grouped[name], positions[name], scores[name]) for name in positions}
        how["scores"] = spread
    counts = counts_under(pattern, allocation, layers, sparsity, **how)
    masks: Masks = {}
    tied = 0
    for layer in layers:
        if layer.name not in positions:
            masks[layer.name] = torch.ones(layer.shape, dtype=torch.bool)
            continue
        index = positions[layer.name]
        score = grouped[layer.name] if pattern.is_within_groups else grouped[layer.name][None]
        kept, ties = _best(score, counts[layer.name] * score.shape[1] // layer.size)
        flat = np.zeros(layer.size, dtype=bool)
        flat[index] = kept if pattern.is_within_groups else kept[0][:, None]
        masks[layer.name] = torch.from_numpy(flat).reshape(layer.shape)
        tied += ties if pattern.is_within_groups else ties * index.shape[1]
    return Selection(masks, tied)


def _spread(of_groups: np.ndarray, positions: np.ndarray, like: Tensor) -> Tensor:
    """The score of a group at each of its weights."""
    flat = np.empty(positions.size)
    flat[positions] = of_groups[:, None]
    return torch.from_numpy(flat).reshape(like.shape)


def _best(scores: np.ndarray, kept: int) -> tuple[np.ndarray, int]:
    """In every row the *kept* largest, ties to the earlier; and how many of them were equal to one left out."""
    order = np.argsort(-scores, axis=1, kind="stable")
    mask = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(mask, order[:, :kept], True, axis=1)
    if not 0 < kept < scores.shape[1]:
        return mask, 0
    last, next_ = (np.take_along_axis(scores, order[:, i : i + 1], axis=1) for i in (kept - 1, kept))
    return mask, int(((scores == last) & mask & (last == next_)).sum())


def counts_under(
    pattern: Pattern, allocation: Allocation, layers: tuple[Layer, ...], sparsity: float, **how: Any
) -> Counts:
    """How many weights each layer keeps in this pattern (``how``: as of ``allocate``).

    N:M says so itself. For whole groups the allocation divides what the layers outside of the pattern, which stay
    whole, leave; each layer's count is rounded down to whole groups, but not to none, and what is left goes to the
    largest remainders as far as a whole group fits. The total is below the one of the sparsity by less than the largest
    group. Raises InfeasibleError where no layer fits, and where the whole layers leave nothing.
    """
    inside = layers_under(pattern, layers)
    if not inside:
        raise InfeasibleError(f"pattern {str(pattern)!r} fits no layer of this network.")
    counts = Counts({layer.name: layer.size for layer in layers})
    if pattern.is_within_groups:
        for layer in inside:
            counts[layer.name] = layer.size // pattern.size[1] * kept_of_group(pattern, sparsity)
        return counts
    whole = {layer.name: layer.size for layer in layers if layer not in inside}
    budget = budget_beside(whole, total(layers), sparsity)
    if how.get("given") is not None:
        how["given"] = {layer.name: how["given"][layer.name] for layer in inside}
    if not budget:
        raise InfeasibleError(f"pattern {str(pattern)!r}: {listing([*whole])} stay whole, and nothing else would.")
    wanted = allocate(allocation, inside, 1 - budget / total(inside), **how)
    sizes = {layer.name: pattern.groups(layer.shape).shape[1] for layer in inside}
    counts.update(_in_whole_groups(wanted, sizes, {layer.name: layer.size for layer in inside}))
    return counts


def kept_of_group(pattern: Pattern, sparsity: float) -> int:
    """How many of M stay: N at the sparsity of the pattern, more in earlier rounds of iterative pruning."""
    n, m = pattern.size
    return max(n, round(m * (1 - removed_share(sparsity))))


def _in_whole_groups(wanted: Mapping[str, int], group: Mapping[str, int], size: Mapping[str, int]) -> dict[str, int]:
    counts = {name: max(kept // group[name], min(kept, 1)) * group[name] for name, kept in wanted.items()}
    left = sum(wanted.values()) - sum(counts.values())
    for name in sorted(wanted, key=lambda name: counts[name] / group[name] - wanted[name] / group[name]):
        # A layer gets the group it has a part of, never one more than the allocation wants.
        if counts[name] < wanted[name] and group[name] <= left and counts[name] < size[name]:
            counts[name] += group[name]
            left -= group[name]
    return counts


def random_masks_under(pattern: Pattern, layers: tuple[Layer, ...], counts: Mapping[str, int], rng: Rng) -> Masks:
    """A random mask of the pattern with exactly these counts (as of ``counts_under``) in each layer."""
    masks: Masks = {}
    for layer in layers:
        flat = np.ones(layer.size, dtype=bool)
        if counts[layer.name] < layer.size:
            index = pattern.groups(layer.shape)
            if pattern.is_within_groups:
                one = np.arange(index.shape[1]) < counts[layer.name] // len(index)
                flat[index] = rng.permuted(np.broadcast_to(one, index.shape), axis=1)
            else:
                kept = np.arange(len(index)) < counts[layer.name] // index.shape[1]
                flat[index] = rng.permutation(kept)[:, None]
        masks[layer.name] = torch.from_numpy(flat).reshape(layer.shape)
    return masks
