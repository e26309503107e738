"""The network that is trained for a ticket: the dense one under its masks, or a sparse one without pruned weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class ChosenNetwork:
    """``network`` is trained under ``masks``; ``record``: the entries of ``result.json`` about the backend."""

    network: nn.Module
    masks: Mapping[str, Tensor]
    record: Mapping[str, Any]

    def copy_into(self, model: nn.Module) -> None:
        """Copy the trained weights and statistics into *model*, which the network was made from."""
        if self.network is not model:
            model.load_state_dict(self.network.state_dict())


def choose_network(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example: Tensor,
    backend: str | None,
    dense_because: str = "",
    precision: str = "float32",
    instructions: Collection[str] = (),
) -> ChosenNetwork:
    """*model* as the backend named in a step's key trains it. ``example``: two images [2, C, H, W]. ``dense_because``:
    why this training needs the dense network, whatever the backend. ``instructions``: the processor's for bfloat16.

    Where the sparse backend cannot represent the network, or is estimated to be no faster, the dense network is trained
    and ``record`` has the reason.
    """
    if backend is None:
        return ChosenNetwork(model, masks, {})
    if dense_because:
        return ChosenNetwork(model, masks, {"backend": "dense", "backend_reason": dense_because})
    from prunecheck.training.sparse import Dense, sparse_network

    try:
        sparse = sparse_network(model, masks, example, precision, instructions)
    except Dense as instead:
        return ChosenNetwork(model, masks, {"backend": "dense", "backend_reason": instead.reason})
    layers = [how for _, how, _ in sparse.describe()]
    record = {"backend": "sparse", "layers_sparse": layers.count("sparse"), "layers_pruned": len(layers)}
    return ChosenNetwork(sparse, {}, record)
