"""The network a ticket is trained as: itself with its masks held, or its sparse twin that has no pruned weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Trainee:
    """``network`` is trained under ``masks``; ``facts``: what the results say of the backend."""

    network: nn.Module
    masks: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def put_into(self, model: nn.Module) -> None:
        """Bring what was trained back to the network it came from."""
        if self.network is not model:
            model.load_state_dict(self.network.state_dict())


def trainee(model: nn.Module, masks: Mapping[str, Tensor], example: Tensor, backend: str | None) -> Trainee:
    """*model* as the backend of a step's key trains it. ``example``: two images as it will be trained on.

    Where the sparse backend cannot do a network, or would not win, the network itself is trained and the facts say why.
    """
    if backend is None:
        return Trainee(model, masks, {})
    from prunecheck.training.sparse import Dense, twin

    try:
        sparse = twin(model, masks, example)
    except Dense as instead:
        return Trainee(model, masks, {"backend": "dense", "backend_reason": instead.reason})
    layers = [how for _, how, _ in sparse.describe()]
    facts = {"backend": "sparse", "layers_sparse": layers.count("sparse"), "layers_pruned": len(layers)}
    return Trainee(sparse, {}, facts)
