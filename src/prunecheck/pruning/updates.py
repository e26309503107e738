"""Updates of a mask during training: weights are dropped, as many grow elsewhere. On plain tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import Masks, counts_of, keep_top
from prunecheck.pruning.plugins import Check, Method
from prunecheck.pruning.validation import validate_corruption, validate_masks, validate_scores

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng


@dataclass(frozen=True)
class Update:
    """One update of the masks. ``kept``: after the drop; ``masks``: after the growth, which may bring back weights that
    the drop has just removed."""

    before: Masks
    kept: Masks
    masks: Masks

    @property
    def changes(self) -> bool:
        """Whether any position differs after the update."""
        return any(not torch.equal(mask, self.before[name]) for name, mask in self.masks.items())

    def counts(self) -> dict[str, int]:
        """Over all layers: weights ``dropped`` (kept before and not after), ``grown`` (kept after and not before) and
        ``regrown`` (removed by the drop and brought back by the growth)."""
        sums = {"dropped": 0, "grown": 0, "regrown": 0}
        for name, before in self.before.items():
            after = self.masks[name]
            sums["dropped"] += int((before & ~after).sum())
            sums["grown"] += int((after & ~before).sum())
            sums["regrown"] += int((before & ~self.kept[name] & after).sum())
        return sums


def drop_and_grow(
    masks: Mapping[str, Tensor], keep: Mapping[str, Tensor], grow: Mapping[str, Tensor], fraction: float
) -> Update:
    """In each layer of k kept weights int(k * fraction) are dropped, those with the lowest *keep* scores, and as many
    grow, those with the highest *grow* scores among all that are not kept then.

    RigL's update (Evci et al. 2020, algorithm 1; google-research/rigl, ``_get_update_op``): the weights that were just
    dropped are candidates of the growth too. Deviates from that code, which adds noise of 1e-5 to the scores of the
    drop: ties go to the earlier position, and no pruned weight takes the place of a kept one with a score near 0.
    """
    counts = counts_of(masks)
    left = {name: count - int(count * fraction) for name, count in counts.items()}
    kept = keep_top({name: keep[name].masked_fill(~mask, -torch.inf) for name, mask in masks.items()}, left).masks
    return Update(dict(masks), kept, grown(kept, grow, counts))


def grown(kept: Mapping[str, Tensor], scores: Mapping[str, Tensor], counts: Mapping[str, int]) -> Masks:
    """*kept* and, in each layer, as many of the other weights with the highest *scores* as make ``counts[layer]``."""
    return keep_top({name: scores[name].masked_fill(mask, torch.inf) for name, mask in kept.items()}, counts).masks


def at_random(like: Mapping[str, Tensor], rng: Rng) -> dict[str, Tensor]:
    """Random scores, independent and uniform, for every layer of *like*: float32, on its device."""
    drawn = {name: rng.random(tuple(each.shape), dtype=np.float32) for name, each in like.items()}
    return {name: torch.from_numpy(scores).to(like[name].device) for name, scores in drawn.items()}


def run_update(
    method: Method, offer: Mapping[str, Any], options: Mapping[str, Any], layers: tuple[Layer, ...]
) -> Update:
    """One update of *method*, validated: names, shapes, finite scores, as many kept weights as before (in all layers
    together, for a method that returns masks). ``offer``: all of UPDATE_OFFERS. Raises PluginError."""
    who, before = f"method {method.name!r}", dict(offer["masks"])
    # Options of the schedule that the function does not declare are for the training alone.
    own = inspect.signature(method.function).parameters
    answer = call_plugin(method, offer, {name: value for name, value in options.items() if name in own})
    if method.gives == "masks":
        masks = _on(before, validate_masks(who, answer, layers, None))
        _same_total(who, before, masks)
        return Update(before, {name: mask & masks[name] for name, mask in before.items()}, masks)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PluginError(
            f"{who} returned {type(answer).__name__}; at an update it must return two sets of scores: what stays "
            '(highest), what grows (highest). Masks need gives="masks".'
        )
    keep, grow = (_on(before, validate_scores(who, scores, layers)) for scores in answer)
    return drop_and_grow(before, keep, grow, offer["fraction"])


def corrupted_update(
    check: Check, update: Update, options: Mapping[str, Any], rng: Rng, layers: tuple[Layer, ...]
) -> Update:
    """*update* as *check* changes it, validated. It may leave one update as it is. Raises PluginError."""
    who = f"check {check.name!r}"
    offer = {"updates": update.masks, "kept": update.kept, "before": update.before, "layers": layers, "rng": rng}
    masks = _on(update.before, validate_masks(who, call_plugin(check, offer, options), layers, None))
    _same_total(who, update.before, masks)
    if not check.changes or any(not torch.equal(mask, update.masks[name]) for name, mask in masks.items()):
        validate_corruption(check, update.masks, masks)
    return Update(update.before, {name: kept & masks[name] for name, kept in update.kept.items()}, masks)


def _on(like: Mapping[str, Tensor], answer: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: answer[name].to(tensor.device) for name, tensor in like.items()}


def _same_total(who: str, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    had, has = (sum(counts_of(masks).values()) for masks in (before, after))
    if had != has:
        raise PluginError(f"{who} keeps {has} weights after an update and {had} before it; their number must stay.")
