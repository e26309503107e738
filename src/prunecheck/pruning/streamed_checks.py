"""Checks of the data where images stay on the disk: no second copy of them is made.

Which images are taken and what their labels are is decided once for all samples, with the draws that the check makes in
memory. Pixels are scrambled when an image is read, from a stream named by (seed, check, image).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, Check
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.streamable import PARTS, validate_streamed


@dataclass(frozen=True)
class CorruptedSamples:
    """A training set after a check. ``positions``: int64 [N], the image that each sample shows; ``targets``: int64 [N].

    ``change``: (image [C, H, W], its position) -> the image as the check makes it, from any thread; None for images as
    they are.
    """

    positions: Tensor
    targets: Tensor
    change: Callable[[np.ndarray, int], np.ndarray] | None


def corrupt_samples(targets: Tensor, corruption: Mapping[str, Any], seed: int, classes: int) -> CorruptedSamples:
    """*targets* ``[N]`` of the clean images after a check of the data. ``corruption``: as for ``apply_data_check``.

    Raises PluginError where the check changes nothing or cannot be applied to a fraction of the samples.
    """
    check, label = CHECKS.get(corruption["name"]), corruption["label"]
    validate_streamed(check)
    everything = torch.arange(len(targets))
    chosen = everything
    if (fraction := corruption.get("dose")) is not None:
        picked = stream(seed, "dose", label).choice(len(targets), max(1, round(fraction * len(targets))), replace=False)
        chosen = torch.from_numpy(picked)
    positions, labels = everything, targets
    if "samples" in PARTS[check.name]:
        # The check only passes images on, so their numbers can stand for them.
        offer = {"batches": (chosen.reshape(-1, 1, 1, 1), targets[chosen]), "classes": classes}
        part, of_part = call_plugin(
            check, {**offer, "rng": stream(seed, "check", label, "batches")}, corruption["options"]
        )
        if fraction is None:
            positions, labels = part.reshape(-1), of_part
        elif len(of_part) != len(chosen):
            raise PluginError(
                f"check {check.name!r} changes the number of samples, so it cannot be applied to a fraction."
            )
        else:
            positions, labels = positions.clone(), labels.clone()
            positions[chosen], labels[chosen] = part.reshape(-1), of_part
    change = None
    if "pixels" in PARTS[check.name]:
        is_chosen = np.zeros(len(targets), dtype=bool)
        is_chosen[chosen.numpy()] = True
        change = _Pixels(check, dict(corruption["options"]), seed, label, is_chosen, classes)
    elif torch.equal(positions, everything) and torch.equal(labels, targets):
        raise PluginError(f"check {check.name!r} left every sample unchanged: it tests nothing here.")
    return CorruptedSamples(positions, labels, change)


@dataclass(frozen=True)
class _Pixels:
    """Applies a check to one image; ``is_chosen``: bool [N], True for the images that it is applied to."""

    check: Check
    options: dict[str, Any]
    seed: int
    label: str
    is_chosen: np.ndarray
    classes: int

    def __call__(self, image: np.ndarray, position: int) -> np.ndarray:
        if not self.is_chosen[position]:
            return image
        # Straight to the function of the package, which touches nothing global: this runs in threads.
        batch = torch.from_numpy(np.ascontiguousarray(image))[None], torch.zeros(1, dtype=torch.int64)
        offer = {"batches": batch, "classes": self.classes}
        offer["rng"] = stream(self.seed, "check", self.label, "image", position)
        inputs, _ = self.check.function(**{name: offer[name] for name in self.check.asks}, **self.options)
        return np.asarray(inputs[0].numpy())
