"""Running the blocks of a network one after the other, with the inputs of one block in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.errors import ModelError

Blocks = Sequence[tuple[str, nn.Module]]
"""(name in the model, module) of the blocks, in the order in which they run"""


@dataclass(frozen=True)
class Rest:
    """What a block is called with besides its hidden state: masks, positions."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def is_same(self, other: Rest) -> bool:
        """Whether these are the very same objects: the caches of masks and positions that all blocks share."""
        return (
            len(self.args) == len(other.args)
            and all(a is b for a, b in zip(self.args, other.args, strict=True))
            and self.kwargs.keys() == other.kwargs.keys()
            and all(value is other.kwargs[name] for name, value in self.kwargs.items())
        )


@dataclass(frozen=True)
class BlockInputs:
    """One calibration sequence: the hidden state in front of the first block, and the rest for every block."""

    hidden: Tensor
    rest: tuple[Rest, ...]


class _Stop(Exception):
    pass


@torch.no_grad()
def capture_inputs(blocks: Blocks, forwards: Iterable[Callable[[], Any]]) -> list[BlockInputs]:
    """What the blocks receive in every forward pass of *forwards*, each of one sequence, without a cache of keys and
    values.

    The pass is stopped in front of the last block, and from the second sequence on in front of the second where all
    blocks are called with the same masks and positions (some models give theirs to some blocks only). Raises ModelError
    where a block is called with a cache or is not called.
    """
    calls: list[tuple[Tensor, Rest]] = []
    wanted = len(blocks)

    def hook(place: int) -> Any:
        def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if place != len(calls):
                raise ModelError(f"block {blocks[place][0]} does not run directly after block {place - 1}.")
            calls.append(_split(blocks[place][0], args, kwargs))
            if len(calls) == wanted:
                raise _Stop

        return record

    handles = [block.register_forward_pre_hook(hook(i), with_kwargs=True) for i, (_, block) in enumerate(blocks)]
    captured = []
    try:
        for forward in forwards:
            calls.clear()
            with suppress(_Stop):
                forward()
            if len(calls) < wanted:
                raise ModelError(f"block {blocks[len(calls)][0]} was not called in a forward pass of the model.")
            rest = [call[1] for call in calls]
            if wanted == 1:
                rest = rest * len(blocks)
            captured.append(BlockInputs(calls[0][0], tuple(rest)))
            if all(one.is_same(rest[0]) for one in rest):
                wanted = 1
    finally:
        for handle in handles:
            handle.remove()
    return captured


def _split(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Rest]:
    if args:
        hidden, rest = args[0], Rest(args[1:], dict(kwargs))
    else:
        hidden = kwargs.get("hidden_states")
        rest = Rest((), {key: value for key, value in kwargs.items() if key != "hidden_states"})
    if not isinstance(hidden, Tensor):
        raise ModelError(f"block {name} is not called with a hidden state as its first argument.")
    for key, value in rest.kwargs.items():
        if key.startswith("past_key_value") and value is not None:
            raise ModelError(f"block {name} is called with a cache ({key}): run the model with use_cache=False.")
    return hidden.detach(), rest


def run_block(block: nn.Module, hidden: Tensor, rest: Rest) -> Tensor:
    """The hidden state behind a block. Raises ModelError where it returns none."""
    answer = block(hidden, *rest.args, **rest.kwargs)
    if isinstance(answer, (tuple, list)):
        answer = answer[0]
    if not isinstance(answer, Tensor):
        raise ModelError(f"a block returned {type(answer).__name__}, not a hidden state.")
    return answer
