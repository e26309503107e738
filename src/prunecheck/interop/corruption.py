"""A trial with other training code: what each check makes of the mask and the starting weights of one seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from prunecheck import tensors
from prunecheck.errors import StudyError
from prunecheck.interop.files import Nested, read_tensors
from prunecheck.interop.match import state_of
from prunecheck.pruning import CHECKS, Check
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.layers import Layer, weights_of
from prunecheck.pruning.masks import Masks, sparsity_of
from prunecheck.pruning.seeds import stream, torch_stream
from prunecheck.pruning.structure import patterns_of, rearranged
from prunecheck.pruning.validation import same_layout, validate_corruption
from prunecheck.statistics.rows import DENSE
from prunecheck.text import printable, printable_path

REARRANGE = "layerwise_rearrange"
RANDOM_TICKET = "random_ticket"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

State = Mapping[str, Tensor] | str | Path


def validate_name(name: str, controls: bool) -> None:
    """Raises StudyError for a method's name that no table can hold or that means another arm."""
    if not _NAME.fullmatch(name):
        raise StudyError(f"{printable(name)!r} cannot name a method: letters, digits, . _ - only.")
    if name == DENSE:
        raise StudyError(f"{name!r} is the unpruned network in the table: give the method another name.")
    if name == RANDOM_TICKET and controls:
        raise StudyError(f"{name!r} is the control in the table: give the method another name, or leave controls out.")


def ticket_check(name: str, has_start: bool) -> Check:
    """The check, if it corrupts a finished ticket and all its inputs are given. Raises StudyError."""
    check = CHECKS.get(name)
    if check.at not in ("masks", "weights"):
        raise StudyError(
            f"{check.name!r} corrupts the {check.at} a mask is computed from, so the method must be run again. "
            "Put the method into a study (prunecheck run), or prune again on corrupted data."
        )
    if check.at == "weights" and not has_start:
        raise StudyError(f"{check.name!r} corrupts the weights the ticket starts from: give them as well.")
    return check


def one_sparsity(masks_of: Mapping[int, Masks]) -> float:
    """The sparsity that the masks of all seeds have. Raises StudyError where they differ, and for no seeds."""
    found = {round(sparsity_of(masks), 4) for masks in masks_of.values()}
    if len(found) != 1:
        raise StudyError(f"the masks of the seeds must have one sparsity; they have {sorted(found) or 'none'}.")
    return found.pop()


@dataclass(frozen=True)
class TicketOfSeed:
    """The mask of one seed, and how its network is built. ``start``: the state it starts from, or its path."""

    seed: int
    masks: Masks
    layers: tuple[Layer, ...]
    build: Callable[[], nn.Module]
    start: State | None = None

    @cached_property
    def patterns(self) -> dict[str, str | None]:
        return patterns_of(self.masks)

    def corrupted(self, check: Check) -> tensors.Tree:
        """What *check* makes of this ticket: masks, or the whole starting state, pruned weights at 0. Raises
        PluginError where the check breaks its promises, and StudyError where it asks for what only a study has."""
        offer: dict[str, Any] = {
            "masks": self.masks,
            "layers": self.layers,
            "rng": stream(self.seed, "arms", check.name),
            "patterns": self.patterns,
        }
        state: tensors.Tree = {}
        if check.at == "weights":
            state = state_from(self.start, self.layers)
            offer["weights"] = {layer.name: state[layer.name] * self.masks[layer.name] for layer in self.layers}
        if "initial" in check.asks:
            with torch_stream(self.seed, "arms", check.name, "initial"):
                offer["initial"] = weights_of(self.build(), self.layers)
        if missing := set(check.asks) - set(offer):
            raise StudyError(f"{check.name!r} asks for {', '.join(sorted(missing))}, which only a study can offer.")
        answer = same_layout(f"check {check.name!r}", check.at, call_plugin(check, offer, check.options), self.layers)
        validate_corruption(check, offer[check.at], answer, self.masks if check.at == "weights" else None)
        return state | answer

    def random_masks(self, *purpose: str) -> Masks:
        """Masks with the counts and patterns of this ticket in every layer, at random positions."""
        rng = stream(self.seed, "arms", RANDOM_TICKET, *purpose)
        return {name: rearranged(mask, self.patterns[name], rng) for name, mask in self.masks.items()}


def state_from(start: Any, layers: tuple[Layer, ...]) -> tensors.Tree:
    """The starting state with the weights of all *layers*, by the names of the model. Raises StudyError."""
    if isinstance(start, (str, Path)):
        return state_of(printable_path(start), read_tensors(Path(start)), layers)
    given: Nested = {(str(name),): value.detach().cpu() for name, value in start.items() if isinstance(value, Tensor)}
    return state_of("the starting weights", given, layers)


def of_seed(source: Any, seed: int) -> Any:
    """*source*, with the seed in the place of ``{seed}`` if it is a path."""
    return str(source).replace("{seed}", str(seed)) if isinstance(source, (str, Path)) else source
