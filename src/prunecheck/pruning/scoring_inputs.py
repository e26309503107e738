"""What a method scores on: a few class-balanced batches, a private copy of the model, and the loss over both."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunecheck.errors import STOPS, DataError, ModelError
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.task import Task
from prunecheck.text import printable_error

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

Batch = tuple[Tensor, Tensor]


def balanced_samples(
    targets: np.ndarray, per_class: int, batches: int, rng: Rng, classes: int | None = None
) -> list[np.ndarray]:
    """Indices of *batches* disjoint draws of *per_class* samples per class, sorted by class as in the official code.
    ``classes``: that many are drawn for every draw; None for all of them.

    Raises DataError naming the class that has too few (the official sampler needs one more).
    """
    draws: list[list[np.ndarray]] = [[] for _ in range(batches)]
    labels = np.unique(targets)
    drawn = None if classes is None else [set(rng.choice(labels, classes, replace=False)) for _ in range(batches)]
    for label in labels:
        members = np.flatnonzero(targets == label)
        if len(members) < per_class * batches:
            raise DataError(
                f"scoring needs {per_class * batches} samples of every class, class {label} has {len(members)}. "
                f"Lower scoring.samples_per_class."
            )
        chosen = rng.choice(members, per_class * batches, replace=False)
        for i, part in enumerate(np.split(chosen, batches)):
            if drawn is None or label in drawn[i]:
                draws[i].append(part)
    return [np.concatenate(parts) for parts in draws]


def scoring_copy(model: nn.Module, normalisation: Literal["batch", "running"] = "batch") -> nn.Module:
    """A copy in training mode whose normalisation uses batch statistics and keeps none, so that scoring cannot leak
    into the network that is trained; or, for ``running``, one in evaluation mode. Raises ModelError where the model
    cannot be copied."""
    try:
        scored = copy.deepcopy(model)
    except STOPS:
        raise
    except BaseException as error:
        raise ModelError(f"{type(model).__name__} cannot be copied for scoring: {printable_error(error)}") from error
    if normalisation == "running":
        return scored.eval()
    scored.train()
    for module in scored.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return scored


def halved(batches: Sequence[Batch]) -> list[Batch]:
    """Each batch as two, the first half (rounded down) and the rest. Class-sorted batches give halves of classes."""
    return [
        (inputs[part], targets[part])
        for inputs, targets in batches
        for part in (slice(None, len(targets) // 2), slice(len(targets) // 2, None))
    ]


def redrawn(layers: Sequence[Layer], kinds: Sequence[str], seed: int) -> dict[str, Tensor]:
    """Fresh weights (Xavier normal, float32) for the layers of these kinds, drawn in module order from one stream."""
    with torch_stream(seed, "redrawn for scoring"):
        return {la.name: nn.init.xavier_normal_(torch.empty(la.shape)) for la in layers if la.kind in kinds}


class ScoringLoss:
    """``loss(weights, temperature=1)``: the task's mean loss, summed over the scoring batches, as a function of the
    prunable weights alone. Outputs are divided by the temperature. Twice differentiable."""

    def __init__(self, model: nn.Module, batches: Sequence[Batch], task: Task) -> None:
        self._model, self._batches, self._task = model, batches, task

    def __call__(self, weights: Mapping[str, Tensor], temperature: float = 1.0) -> Tensor:
        terms = []
        for inputs, targets in self._batches:
            outputs = functional_call(self._model, dict(weights), (inputs,))
            terms.append(self._task.loss(outputs / temperature if temperature != 1 else outputs, targets))
        return torch.stack(terms).sum()
