"""Masks: ``{parameter name: bool tensor}``, True where the weight stays.

Selection is by partition, never by sorting everything; counts are exact; ties are broken by position (earlier layers
and earlier weights first), and how many ties decided is reported. Scores may be of any floating dtype and device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning.counts import Counts
from prunecheck.pruning.layers import Layer

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

Masks = dict[str, Tensor]


def as_array(tensor: Tensor) -> np.ndarray:
    """*tensor* as a flat numpy array of float32 or float64, sharing memory where that is possible."""
    flat = tensor.detach().reshape(-1)
    wide = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    return wide.cpu().numpy()


def check_finite(scores: Mapping[str, Tensor], who: str) -> None:
    """Raise PluginError naming the first layer with NaN or infinite scores and how many there are."""
    for name, score in scores.items():
        bad = int((~torch.isfinite(score)).sum())
        if bad:
            raise PluginError(f"{who}: {bad} of {score.numel()} scores of {name} are NaN or infinite.")


def global_cut(scores: Mapping[str, Tensor], kept: int) -> float:
    """The *kept*-th largest score over all layers together (by one partition). ``1 <= kept <= number of scores``."""
    pool = np.concatenate([as_array(score) for score in scores.values()])
    # numpy's partition in place is several times faster here than torch.topk or a sort.
    pool.partition(pool.size - kept)
    return float(pool[pool.size - kept])


def global_counts(scores: Mapping[str, Tensor], kept: int) -> Counts:
    """How many weights each layer keeps when the *kept* largest scores of the whole network stay."""
    if kept <= 0:
        return Counts(dict.fromkeys(scores, 0))
    if len({score.dtype for score in scores.values()}) > 1:  # else a narrower layer would round the cut
        scores = {name: score.double() for name, score in scores.items()}
    cut = global_cut(scores, kept)
    values = {name: as_array(score) for name, score in scores.items()}
    above = {name: int(np.count_nonzero(value > cut)) for name, value in values.items()}
    at = {name: int(np.count_nonzero(value == cut)) for name, value in values.items()}
    missing = ties_left = kept - sum(above.values())
    counts = Counts()
    for name in scores:
        # Weights that equal the cut go to the earlier layers until the total is exact.
        ties = min(ties_left, at[name])
        counts[name] = above[name] + ties
        ties_left -= ties
    counts.cut = cut
    counts.tied = missing if sum(at.values()) > missing else 0
    return counts


@dataclass(frozen=True)
class Selection:
    """The masks, and how many kept weights were chosen among equal scores by position alone."""

    masks: Masks
    tied: int


def keep_top(scores: Mapping[str, Tensor], counts: Mapping[str, int]) -> Selection:
    """In each layer the ``counts[name]`` weights with the largest scores.

    Ties go to the earlier position in the flattened tensor. ``counts.cut``, where given, is tried first as a layer's
    threshold and used only if it yields the exact count.
    """
    known = counts if isinstance(counts, Counts) else Counts()
    masks: Masks = {}
    tied = 0
    for name, score in scores.items():
        masks[name], ties = _top_of_layer(score, counts[name], known.cut)
        tied += ties
    return Selection(masks, max(tied, known.tied))


def _top_of_layer(score: Tensor, kept: int, hint: float | None) -> tuple[Tensor, int]:
    if kept <= 0 or kept >= score.numel():
        return torch.full_like(score, kept > 0, dtype=torch.bool), 0
    # The global cut usually gives the exact count, which saves a partition of every layer.
    if hint is not None:
        mask = score >= hint
        if _trues(mask) == kept:
            return mask, 0
    cut = _nth_largest(score, kept)
    mask = score > cut
    missing = kept - _trues(mask)
    ties = torch.nonzero((score == cut).reshape(-1)).reshape(-1)
    flat = mask.reshape(-1)
    flat[ties[:missing]] = True
    return flat.reshape(score.shape), missing if len(ties) > missing else 0


def _nth_largest(score: Tensor, n: int) -> float:
    # Methods that learn masks select at every step: on a GPU without moving the scores to the CPU.
    if score.is_cuda:
        return _nth_largest_on_device(score, n)
    values = as_array(score)
    return float(np.partition(values, values.size - n)[values.size - n])


def _nth_largest_on_device(score: Tensor, n: int) -> float:
    flat = score.detach().reshape(-1)
    wide = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    return float(wide.kthvalue(len(wide) - n + 1).values)


def _trues(mask: Tensor) -> int:
    """On a CPU numpy counts True values several times faster than torch sums them."""
    return int(mask.sum()) if mask.is_cuda else int(np.count_nonzero(mask.cpu().numpy()))


def threshold(scores: Mapping[str, Tensor], cut: float, *, strict: bool) -> Masks:
    """``score > cut`` (strict) or ``score >= cut``: what published codes do, whatever count that gives."""
    return {n: (s > cut) if strict else (s >= cut) for n, s in scores.items()}


def random_mask(shape: tuple[int, ...], kept: int, rng: Rng) -> Tensor:
    """*kept* True values at uniformly random positions (drawn without replacement, the smaller side is drawn)."""
    size = int(np.prod(shape, dtype=np.int64))
    few, value = (kept, True) if kept <= size // 2 else (size - kept, False)
    flat = np.full(size, not value)
    if few:
        # Without shuffling: only which positions are drawn matters, not their order.
        flat[rng.choice(size, few, replace=False, shuffle=False)] = value
    return torch.from_numpy(flat).reshape(shape)


def random_masks(layers: tuple[Layer, ...], counts: Mapping[str, int], rng: Rng) -> Masks:
    """A random mask with exactly ``counts[layer]`` kept weights in each layer."""
    return {layer.name: random_mask(layer.shape, counts[layer.name], rng) for layer in layers}


def permuted(mask: Tensor, rng: Rng) -> Tensor:
    """The same number of kept weights at other, uniformly random positions; same shape and device."""
    return random_mask(tuple(mask.shape), int(mask.sum()), rng).to(mask.device)


def counts_of(masks: Mapping[str, Tensor]) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def sparsity_of(masks: Mapping[str, Tensor]) -> float:
    """Fraction removed over all layers together."""
    size = sum(mask.numel() for mask in masks.values())
    return 1 - sum(counts_of(masks).values()) / size


def intersection(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> int:
    return sum(int((a[name] & b[name]).sum()) for name in a)
