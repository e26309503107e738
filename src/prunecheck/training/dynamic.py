"""Training with a mask that a method changes on the way (dynamic sparse training)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.errors import PluginError
from prunecheck.pruning import Check, Method
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import Masks, counts_of, intersection
from prunecheck.pruning.schedule import Schedule
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.updates import Update, corrupted_update, run_update

UNLIKE_FIXED = "its mask changes while it trains"
"""why the sparse backend does not train such a network, and a GPU does not record its steps"""


@dataclass(frozen=True)
class UpdateRule:
    """The method that changes the mask and the check that corrupts each change, if any. ``purpose``, ``check_purpose``:
    they choose the random streams, of which each update has one of its own."""

    method: Method
    options: Mapping[str, Any]
    layers: tuple[Layer, ...]
    seed: int
    purpose: tuple[str, ...]
    check: Check | None = None
    check_options: Mapping[str, Any] = field(default_factory=dict)
    check_purpose: tuple[str, ...] = ()

    def propose(self, weights: Mapping[str, Tensor], state: Mapping[str, Any], step: int) -> tuple[Update, bool]:
        """The update at *step*, and whether the check changed it. ``state``: all else that the method may ask for."""
        offer = {"weights": weights, **state, "layers": self.layers}
        offer["rng"] = stream(self.seed, "method", *self.purpose, "update", step)
        update = run_update(self.method, offer, self.options, self.layers)
        if self.check is None:
            return update, False
        rng = stream(self.seed, "check", *self.check_purpose, step)
        corrupted = corrupted_update(self.check, update, self.check_options, rng, self.layers)
        return corrupted, any(not torch.equal(mask, update.masks[name]) for name, mask in corrupted.masks.items())


class ChangingMasks:
    """The masks of one training, and the history of their updates.

    ``masks``: as they are now. ``ever``: weights that were kept at any time. ``history``: one record for every update.
    These three are what a checkpoint must hold. ``next_step``: of the whole training, counted from 0.
    """

    def __init__(self, rule: UpdateRule, masks: Mapping[str, Tensor], steps: int, device: str) -> None:
        self.rule, self._steps = rule, steps
        self._schedule = Schedule.of(rule.options)
        self._initial: Masks = {layer.name: masks[layer.name].to(device) for layer in rule.layers}
        self.masks: Masks = dict(self._initial)
        self.ever: Masks = dict(self._initial)
        self.history: list[dict[str, Any]] = []
        self.next_step = 0

    def update(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> bool:
        """Change the masks if an update is due at the next step; True if a mask differs afterwards.

        Called when the gradients of the step's batch are there. Where it returns True, algorithm 1 of RigL (Evci et al.
        2020) takes no optimiser step; the momentum of dropped weights is then 0, and so is that of weights that grow
        later, as in ``reset_momentum`` of the official code. Gradients that are not finite update nothing: the training
        diverges, which is noticed at the end of the epoch. Raises PluginError.
        """
        step = self.next_step
        self.next_step += 1
        if not self._schedule.is_due(step, self._steps):
            return False
        parameters = {name: model.get_parameter(name) for name in self.masks}
        # a layer that was not used in this batch has no gradient
        gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in parameters.items()}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in [*gradients.values(), *parameters.values()]):
            return False
        momentum = {n: optimiser.state.get(p, {}).get("momentum_buffer") for n, p in parameters.items()}
        state = {
            "gradients": {name: _plain(gradient) for name, gradient in gradients.items()},
            "momentum": {n: _plain(torch.zeros_like(parameters[n]) if m is None else m) for n, m in momentum.items()},
            "masks": dict(self.masks),
            "fraction": self._schedule.fraction(step, self._steps),
            "progress": step / self._steps,
        }
        update, corrupted = self.rule.propose({name: _plain(p) for name, p in parameters.items()}, state, step)
        self.history.append({"step": step, **update.counts()} | ({"corrupted": corrupted} if self.rule.check else {}))
        if not update.changes:
            return False
        self.masks = update.masks
        self.ever = {name: ever | self.masks[name] for name, ever in self.ever.items()}
        for name, buffer in momentum.items():
            if buffer is not None:
                buffer.masked_fill_(~self.masks[name], 0)
        return True

    def results(self) -> dict[str, Any]:
        """For the results of the training: ``updates``, each with its step and the numbers of weights dropped, grown
        and regrown; ``ever_kept``: weights that were kept at any time; ``kept_from_start``: those of the initial mask
        that are in the final one.

        Raises PluginError where a check that should change updates changed none.
        """
        check = self.rule.check
        if check is not None and check.changes and not any(record["corrupted"] for record in self.history):
            raise PluginError(
                f"check {check.name!r} left all {len(self.history)} updates unchanged: it tests nothing here."
            )
        return {
            "updates": self.history,
            "ever_kept": sum(counts_of(self.ever).values()),
            "kept_from_start": intersection(self._initial, self.masks),
        }


def _plain(tensor: Tensor) -> Tensor:
    """A copy in the memory order that plug-ins expect: networks are channels-last here, and plug-ins say w.view(-1)."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)
