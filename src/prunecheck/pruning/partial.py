"""Applying a check, to all of what it corrupts or to a random fraction of it.

At ``batches`` the fraction is of the samples; elsewhere of each layer's weights, which the check then sees as one-
dimensional tensors, or of the groups of a layer with a structured pattern, one in a row; the rest stays as it was.
What a check promises to keep it thereby keeps as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prunecheck import tensors
from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, Check
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.patterns import Pattern, parse_pattern
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.structure import has_pattern
from prunecheck.pruning.validation import (
    same_layout,
    validate_batches,
    validate_corruption,
    validate_masks,
    validate_scores,
    validate_weights,
)

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

ELEMENTWISE = ("scores", "masks", "weights", "initial")


def apply_check(
    check: Check,
    offer: Mapping[str, Any],
    options: Mapping[str, Any],
    fraction: float | None,
    rng: Rng,
    layers: tuple[Layer, ...],
) -> tensors.Tree:
    """The corrupted scores, masks or weights, validated. ``offer``: all the check may ask for. Raises PluginError."""
    at, who = check.at, f"check {check.name!r}"
    answer = run_check(check, offer, options, fraction, rng)
    if at == "scores":
        answer = validate_scores(who, answer, layers)
    elif at == "masks":
        answer = validate_masks(who, answer, layers, None)
    else:
        answer = validate_weights(who, answer, layers, offer["weights"])
    validate_corruption(check, offer[at], answer, offer.get("masks") if at == "weights" else None)
    return answer


def apply_data_check(
    clean: tuple[Tensor, Tensor], corruption: Mapping[str, Any], seed: int, classes: int
) -> tuple[Tensor, Tensor]:
    """A whole training set after a check of the data, validated. ``corruption``: as in a step: name, label, options and
    perhaps a fraction (``dose``). Raises PluginError."""
    check, label = CHECKS.get(corruption["name"]), corruption["label"]
    offer = {"batches": clean, "classes": classes, "rng": stream(seed, "check", label, "batches")}
    # "dose" is the name in stored steps, and the name of a stream decides its random numbers.
    answer = run_check(check, offer, corruption["options"], corruption.get("dose"), stream(seed, "dose", label))
    batches = validate_batches(f"check {check.name!r}", answer, clean, classes)
    validate_corruption(check, clean, batches)
    return batches


def run_check(
    check: Check, offer: Mapping[str, Any], options: Mapping[str, Any], fraction: float | None, rng: Rng
) -> Any:
    """The check's answer, not validated. ``fraction``: in (0, 1), of samples or weights chosen by *rng*; None: all."""
    if fraction is None:
        return call_plugin(check, offer, options)
    if check.at == "batches":
        return _of_samples(check, offer, options, fraction, rng)
    return _of_weights(check, offer, options, fraction, rng)


def _of_samples(check: Check, offer: Mapping[str, Any], options: Mapping[str, Any], fraction: float, rng: Rng) -> Any:
    inputs, targets = offer["batches"]
    # At least one sample: corrupting none would look like a check without an effect.
    chosen = torch.from_numpy(rng.choice(len(targets), max(1, round(fraction * len(targets))), replace=False))
    before = inputs[chosen], targets[chosen]
    part = call_plugin(check, {**offer, "batches": before}, options)
    part = validate_batches(f"check {check.name!r}", part, before, offer["classes"])
    if len(part[1]) != len(chosen):
        raise PluginError(f"check {check.name!r} changes the number of samples, so it cannot be applied to a fraction.")
    # Copies, because other steps train on the same tensors.
    inputs, targets = inputs.clone(), targets.clone()
    inputs[chosen], targets[chosen] = part
    return inputs, targets


def _of_weights(check: Check, offer: Mapping[str, Any], options: Mapping[str, Any], fraction: float, rng: Rng) -> Any:
    patterns = offer.get("patterns", {})
    chosen = {name: _positions(tensor, patterns.get(name), fraction, rng) for name, tensor in offer[check.at].items()}
    parts = {
        what: {name: tree[name].reshape(-1)[index] for name, index in chosen.items()}
        for what, tree in offer.items()
        if what in ELEMENTWISE
    }
    if "patterns" in offer:
        parts["patterns"] = {name: _pattern_of_part(parts["masks"][name], patterns[name]) for name in chosen}
    layers = tuple(replace(layer, shape=tuple(chosen[layer.name].shape)) for layer in offer["layers"])
    answer = same_layout(f"check {check.name!r}", check.at, call_plugin(check, {**offer, **parts}, options), layers)
    whole = {}
    for name, tensor in offer[check.at].items():
        flat = tensor.clone().reshape(-1)
        flat[chosen[name]] = answer[name]
        whole[name] = flat.reshape(tensor.shape)
    return whole


def _positions(tensor: Tensor, pattern: str | None, fraction: float, rng: Rng) -> Tensor:
    """Positions in the flattened tensor, drawn at random: single weights, or in a structured mask (groups, weights in a
    group) of whole groups."""
    if pattern is None:
        return torch.from_numpy(rng.choice(tensor.numel(), max(1, round(fraction * tensor.numel())), replace=False))
    groups = parse_pattern(pattern).groups(tensor.shape)
    # One filter alone has no other arrangement.
    return torch.from_numpy(groups[rng.choice(len(groups), max(2, round(fraction * len(groups))), replace=False)])


def _pattern_of_part(mask: Tensor, pattern: str | None) -> str | None:
    """The pattern of the groups of a structured mask, one in a row; None where all of them are kept or removed."""
    if pattern is None:
        return None
    parsed = parse_pattern(pattern)
    of_part = parsed if parsed.is_within_groups else Pattern("rows")
    return str(of_part) if has_pattern(mask, of_part) else None
