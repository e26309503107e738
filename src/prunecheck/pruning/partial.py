"""A corruption at a partial dose: it is asked about a random share only, and the rest stays as it was.

At ``batches`` the share is of the samples; elsewhere of each layer's weights, which the check then sees as one-
dimensional tensors. What a check promises to keep it thereby keeps as a whole.
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
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.validation import (
    ask,
    proved,
    same_layout,
    sound_batches,
    sound_masks,
    sound_scores,
    sound_weights,
)

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

ELEMENTWISE = ("scores", "masks", "weights", "initial")


def corrupted(check: Check, offer: Mapping[str, Any], options: Mapping[str, Any], dose: float | None, rng: Rng) -> Any:
    """The check's answer at a dose in (0, 1), or in full for None. *rng* chooses the share."""
    if dose is None:
        return ask(check, offer, options)
    return (
        _of_samples(check, offer, options, dose, rng)
        if check.at == "batches"
        else _of_weights(check, offer, options, dose, rng)
    )


def _of_samples(check: Check, offer: Mapping[str, Any], options: Mapping[str, Any], dose: float, rng: Rng) -> Any:
    inputs, targets = offer["batches"]
    chosen = torch.from_numpy(rng.choice(len(targets), max(1, round(dose * len(targets))), replace=False))
    before = inputs[chosen], targets[chosen]
    part = ask(check, {**offer, "batches": before}, options)
    part = sound_batches(f"check {check.name!r}", part, before, offer["classes"])
    if len(part[1]) != len(chosen):
        raise PluginError(f"check {check.name!r} changes the number of samples, so it has no partial dose.")
    inputs, targets = inputs.clone(), targets.clone()
    inputs[chosen], targets[chosen] = part
    return inputs, targets


def _of_weights(check: Check, offer: Mapping[str, Any], options: Mapping[str, Any], dose: float, rng: Rng) -> Any:
    chosen = {
        name: torch.from_numpy(rng.choice(tensor.numel(), max(1, round(dose * tensor.numel())), replace=False))
        for name, tensor in offer[check.at].items()
    }
    parts = {
        what: {name: tree[name].reshape(-1)[index] for name, index in chosen.items()}
        for what, tree in offer.items()
        if what in ELEMENTWISE
    }
    layers = tuple(replace(layer, shape=tuple(chosen[layer.name].shape)) for layer in offer["layers"])
    answer = same_layout(f"check {check.name!r}", check.at, ask(check, {**offer, **parts}, options), layers)
    whole = {}
    for name, tensor in offer[check.at].items():
        flat = tensor.clone().reshape(-1)
        flat[chosen[name]] = answer[name]
        whole[name] = flat.reshape(tensor.shape)
    return whole


def touched(
    check: Check,
    offer: Mapping[str, Any],
    options: Mapping[str, Any],
    dose: float | None,
    rng: Rng,
    layers: tuple[Layer, ...],
) -> tensors.Tree:
    """The joint's corrupted value, proved sound. Raises PluginError."""
    at, who = check.at, f"check {check.name!r}"
    answer = corrupted(check, offer, options, dose, rng)
    if at == "scores":
        answer = sound_scores(who, answer, layers)
    elif at == "masks":
        answer = sound_masks(who, answer, layers, None)
    else:
        answer = sound_weights(who, answer, layers, offer["weights"])
    proved(check, offer[at], answer, offer.get("masks") if at == "weights" else None)
    return answer


def corrupted_batches(
    clean: tuple[Tensor, Tensor], corruption: Mapping[str, Any], seed: int, classes: int
) -> tuple[Tensor, Tensor]:
    """A whole training set after a check at batches, proved sound. Raises PluginError."""
    check = CHECKS.get(corruption["name"])
    offer = {"batches": clean, "classes": classes, "rng": stream(seed, "check", corruption["label"], "batches")}
    answer = corrupted(
        check, offer, corruption["options"], corruption.get("dose"), stream(seed, "dose", corruption["label"])
    )
    batches = sound_batches(f"check {check.name!r}", answer, clean, classes)
    proved(check, clean, batches)
    return batches
