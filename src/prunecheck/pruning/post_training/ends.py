"""Embedding and head in the walk over the blocks: the first is pruned before the first block, the head after the
last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from prunecheck.pruning.post_training.blocks import BlockInputs, Blocks, Rest
from prunecheck.pruning.post_training_plugins import STATISTICS, PostTrainingMethod

Forward = Callable[[], Any]
"""runs the whole model on one calibration sequence"""
Named = tuple[str, nn.Module]


class End(nn.Module):
    """What stands in the place of a block for one layer before or behind all blocks."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer


class Embedding(End):
    """Has no ``forward``: an embedding receives token numbers, no activations, so that only methods without
    statistics of the inputs can prune it, and these run no block."""


class Head(End):
    def __init__(self, layer: nn.Module, blocks: Blocks) -> None:
        super().__init__(layer)
        self._last = (blocks[-1][1],)  # in a tuple, so that it is no submodule

    def forward(self, hidden: Tensor, forward: Forward) -> Tensor:
        """Runs what lies behind the last block on *hidden*, and gives *hidden* back: the logits of all sequences would
        not fit into memory. What the blocks compute in this pass is thrown away."""

        def replaced(_: nn.Module, __: Any, output: Any) -> Any:
            return (hidden, *output[1:]) if isinstance(output, (tuple, list)) else hidden

        handle = self._last[0].register_forward_hook(replaced)
        try:
            forward()
        finally:
            handle.remove()
        return hidden


def why_not_embedding(method: PostTrainingMethod) -> str:
    """Why *method* cannot prune an embedding that is not the head too; empty if it can."""
    if not STATISTICS & set(method.asks):
        return ""
    return (
        f"method {method.name!r} looks at what a layer receives, and an embedding receives token numbers, no "
        "activations; only methods that look at weights alone can prune it."
    )


def with_ends(
    blocks: Blocks,
    inputs: Sequence[BlockInputs],
    forwards: Sequence[Forward],
    *,
    embedding: Named | None = None,
    head: Named | None = None,
) -> tuple[list[Named], list[BlockInputs]]:
    """*blocks* and *inputs* for ``prune_blocks`` with the embedding and the head, as (name in the model, module), where
    they are to be pruned. *forwards*: one for each of *inputs*; both may be empty."""
    front = [] if embedding is None else [(embedding[0], Embedding(embedding[1]))]
    back = [] if head is None else [(head[0], Head(head[1], blocks))]
    longer = [
        replace(one, rest=(Rest((), {}),) * len(front) + one.rest + (Rest((forward,), {}),) * len(back))
        for one, forward in zip(inputs, forwards, strict=True)
    ]
    return [*front, *blocks, *back], longer
