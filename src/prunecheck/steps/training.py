"""The steps ``pretrain`` and ``train``: trainings that can be interrupted and end with the same bytes when resumed.

The state at the end of the last epoch is kept in memory; it is written to the disk now and then, and at once when the
process is asked to stop. A checkpoint holds weights, momentum, history and the rewind weights once they are known, all
in one file, so that none of them can be lost alone. Order, augmentation and dropout need no state, since every epoch
draws from random streams of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck import tensors as tree
from prunecheck.errors import Interrupted
from prunecheck.pruning import CHECKS, METHODS
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.task import task_named
from prunecheck.steps.context import Context, Params, as_json
from prunecheck.steps.epoch_times import EpochTimes
from prunecheck.store import Store
from prunecheck.study import numerics
from prunecheck.study.step import Step, kind_of_training
from prunecheck.training import loop
from prunecheck.training.choose_network import ChosenNetwork, choose_network
from prunecheck.training.dynamic import UNLIKE_FIXED, ChangingMasks, UpdateRule
from prunecheck.training.loop import Epoch, Training, TrainingState
from prunecheck.training.parallel import ProcessLost, synchronise_normalisation
from prunecheck.training.recipe import Recipe, recipe_from

CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True)
class Span:
    """Epochs ``first <= epoch < last`` of a recipe's schedule, in the random streams of *phase*. ``rewind_after``:
    finished epochs after which the state is kept for rewinding."""

    recipe: Recipe
    phase: str
    first: int
    last: int
    rewind_after: int | None = None


def pretrain(step: Step, context: Context) -> dict[str, bytes]:
    """Dense training. Artefact: ``final`` (state after ``until`` epochs), ``rewind`` (state after the recipe's rewind
    epoch, if that is reached) and ``result.json``."""
    return _alone(step, context)


def train(step: Step, context: Context) -> dict[str, bytes]:
    """Training of a ticket. Artefact: ``final`` (its state) and ``result.json`` (accuracies of every epoch); where a
    method changes the mask on the way, ``final_masks`` too, and the results hold the history of the mask."""
    return _alone(step, context)


def _alone(step: Step, context: Context) -> dict[str, bytes]:
    (prepared,) = together([prepare(step, context)], context)
    return prepared.files()


@dataclass
class Prepared:
    """A training step at the end of an epoch: before the first one, or where its checkpoint left it."""

    step: Step
    span: Span
    model: nn.Module
    chosen: ChosenNetwork
    training: Training
    saver: _Saver

    def files(self) -> dict[str, bytes]:
        """The artefact, once the training has ended."""
        self.chosen.copy_into(self.model)
        files = {"final.safetensors": tree.to_bytes(self.model.state_dict())}
        result = {**_result(self.training, self.span), **self.chosen.record}
        if why := self.training.eager_reason:
            result["eager_reason"] = why
        if (changing := self.training.changing) is not None:
            result |= changing.results()
            files["final_masks.safetensors"] = tree.to_bytes(changing.masks)
        files["result.json"] = as_json(result)
        if self.step.kind == "pretrain" and self.span.last >= self.span.recipe.rewind_epoch:
            # a training that diverged before the rewind epoch has no other state to rewind to
            rewind = self.saver.rewind
            files["rewind.safetensors"] = files["final.safetensors"] if rewind is None else tree.to_bytes(rewind)
        return files


def prepare(step: Step, context: Context) -> Prepared:
    """What *step* trains, from its checkpoint on if there is one."""
    params: Params = step.params
    recipe = recipe_from(params["recipe"])
    model = context.model(params)
    masks: tree.Tree = {}
    if step.kind == "pretrain":
        span = Span(recipe, "pretrain", 0, params["until"], recipe.rewind_epoch)
    else:
        if "start" in step.inputs:
            model.load_state_dict(context.tree(step.inputs["start"], params["file"]))
        masks = context.tree(step.inputs["masks"], "masks")
        # trainings between two rounds must not see the batches of the round before again
        phase = f"round {params['round']}" if "round" in params else "ticket"
        span = Span(recipe, phase, params["first"], recipe.epochs)
    group = context.group if params.get("processes", 1) > 1 else None
    if group is not None and params["sync_batch_norm"]:
        synchronise_normalisation(model)
    train_feed, test_feed = context.feeds(params, recipe.pad)
    example, _ = train_feed.select(np.arange(min(2, train_feed.samples)))
    changing = None
    if "method" in params:
        steps = recipe.epochs * recipe.steps_per_epoch(train_feed.samples)
        changing = ChangingMasks(_update_rule(params, model), masks, steps, params["device"])
    dense_because = UNLIKE_FIXED if changing is not None else ""
    precision = params.get("precision", "float32")
    able = numerics.bfloat16_instructions()
    chosen = choose_network(model, masks, example, params.get("backend"), dense_because, precision, able)
    state = loop.start(chosen.network, recipe)
    # Rewinding to the very start: no end of an epoch will come at which this state could be copied.
    rewind = tree.clone(model.state_dict()) if span.rewind_after == span.first else None
    saver = _Saver(context.store, step.key, span, rewind, changing, writes=group is None or group.writes)
    saver.resume(state)
    training = Training(
        state,
        train_feed,
        test_feed,
        recipe,
        task_named(params["task"]),
        chosen.masks,
        seed=params["seed"],
        phase=span.phase,
        first=span.first,
        last=span.last,
        shuffle=params.get("shuffle", True),
        precision=precision,
        changing=changing,
        after_epoch=saver.after_epoch,
        group=group,
        sync_batch_norm=params.get("sync_batch_norm", True),
    )
    return Prepared(step, span, model, chosen, training, saver)


def _update_rule(params: Params, model: nn.Module) -> UpdateRule:
    """How a step's method changes the mask. Its random stream does not depend on the label of the method, so that all
    variants of one method that train alike are one training."""
    method, purpose = params["method"], (params["method"]["name"], f"{params['sparsity']:.12g}")
    layers = layers_of(model, params.get("also_prune", ()))
    rule = UpdateRule(METHODS.get(method["name"]), method["options"], layers, params["seed"], purpose)
    if "check" not in params:
        return rule
    check = params["check"]
    plugin = CHECKS.get(check["name"])
    return replace(
        rule, check=plugin, check_options=check["options"], check_purpose=(check["label"], plugin.at, *purpose)
    )


def together(prepared: Sequence[Prepared], context: Context) -> Iterator[Prepared]:
    """Train in place, on a GPU all of them at a time; yields each training as it ends. Those that are interrupted write
    their checkpoints."""
    of = {id(one.training): one for one in prepared}
    trainings, times = [one.training for one in prepared], EpochTimes(context.store)
    for one in prepared:
        epochs = one.span.last - one.span.first
        one.training.after_epoch = times.watching(one.step, epochs, one.training.after_epoch)
    on_gpu = context.together(prepared[0].step.params)
    ended = loop.train_all(trainings) if on_gpu is None else on_gpu.train(trainings, kind_of_training(prepared[0].step))
    try:
        for training in ended:
            yield of[id(training)]
    except (KeyboardInterrupt, Interrupted, ProcessLost):
        for one in prepared:
            one.saver.write()  # only the unfinished epoch is lost
        raise


def _result(training: Training, span: Span) -> dict[str, object]:
    history = training.state.history
    accuracies = [epoch.test_accuracy for epoch in history]
    return {
        "accuracy": accuracies[-1] if accuracies else None,
        "best_accuracy": max(accuracies, default=None),
        "train_accuracy": history[-1].train_accuracy if history else None,
        "diverged": not training.finite,
        "first_epoch": span.first,
        "last_epoch": span.last,
        "n_train": training.train_feed.samples,
        "n_test": training.test_feed.samples,
        "history": [_finite(epoch) for epoch in history],
    }


def _finite(epoch: Epoch) -> dict[str, object]:
    """JSON has no NaN: a loss that is not finite is written as null."""
    loss = epoch.train_loss
    return epoch.to_dict() | {"train_loss": loss if loss == loss and abs(loss) != float("inf") else None}


@dataclass
class _Saver:
    """Writes checkpoints of one training and keeps its rewind state. ``unsaved``: the checkpoint of the last epoch, as
    long as it is not on the disk. ``writes``: False in all but one of the processes of a training."""

    store: Store
    key: str
    span: Span
    rewind: tree.Tree | None
    changing: ChangingMasks | None = None
    writes: bool = True
    unsaved: tree.Tree | None = None
    written: float = field(default_factory=time.monotonic)

    def resume(self, state: TrainingState) -> None:
        """Bring *state* to where the last checkpoint left it, if there is a checkpoint that can be used."""
        data = self.store.load_partial(self.key)
        if data is None:
            return
        checkpoint = _read(data)
        wanted = self.span.rewind_after
        # without its rewind state it would pass the final weights off as those of the rewind epoch
        if wanted is not None and not checkpoint.rewind and self.span.first + len(checkpoint.history) >= wanted:
            return
        checkpoint.copy_into(state, self.changing)
        self.rewind = checkpoint.rewind or self.rewind

    def after_epoch(self, state: TrainingState) -> None:
        done = self.span.first + len(state.history)
        if done == self.span.rewind_after:
            self.rewind = tree.clone(state.model.state_dict())
        # The last epoch needs no checkpoint: the artefact is written next.
        if done < self.span.last:
            self.unsaved = _checkpoint(state, self.rewind, self.changing)
            # Writing after every epoch would cost more than the training where epochs are short.
            if time.monotonic() - self.written > CHECKPOINT_SECONDS:
                self.write()

    def write(self) -> None:
        if self.unsaved is not None and self.writes:
            self.store.save_partial(self.key, tree.to_bytes(self.unsaved))
            self.unsaved, self.written = None, time.monotonic()


@dataclass(frozen=True)
class _Checkpoint:
    """A training at the end of an epoch. ``rewind``: empty if the rewind epoch was not yet reached. ``masks``, ``ever``
    and ``updates``: of masks that are changed on the way, else empty."""

    model: tree.Tree
    momentum: dict[int, Tensor]
    rewind: tree.Tree
    history: list[Epoch]
    masks: tree.Tree
    ever: tree.Tree
    updates: list[dict[str, Any]]

    def copy_into(self, state: TrainingState, changing: ChangingMasks | None) -> None:
        state.model.load_state_dict(self.model)
        for i, parameter in enumerate(state.model.parameters()):
            if i in self.momentum:
                # the fused optimiser needs a buffer with the strides of its weight, which a file does not record
                buffer = torch.empty_like(parameter).copy_(self.momentum[i])
                state.optimiser.state[parameter]["momentum_buffer"] = buffer
        state.history = list(self.history)
        if changing is not None:
            changing.masks, changing.ever = (
                {name: stored[name].to(mask.device) for name, mask in changing.masks.items()}
                for stored in (self.masks, self.ever)
            )
            changing.history = list(self.updates)


def _checkpoint(state: TrainingState, rewind: tree.Tree | None, changing: ChangingMasks | None) -> tree.Tree:
    """A copy of everything that a checkpoint file holds."""
    # Copies: the training goes on and changes the tensors in place, while this is written only if it is stopped.
    tensors = {f"model/{name}": value.clone() for name, value in state.model.state_dict().items()}
    # "kept/" is part of the file format of checkpoints.
    tensors |= {f"kept/{name}": value for name, value in (rewind or {}).items()}
    for i, parameter in enumerate(state.model.parameters()):
        momentum = state.optimiser.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum/{i}"] = momentum.clone()
    tensors["history"] = _json_tensor([epoch.to_dict() for epoch in state.history])
    if changing is not None:  # its tensors are replaced by an update, never changed in place
        tensors |= {f"mask/{name}": mask for name, mask in changing.masks.items()}
        tensors |= {f"ever/{name}": mask for name, mask in changing.ever.items()}
        tensors["updates"] = _json_tensor(changing.history)
    return tensors


def _json_tensor(value: Any) -> Tensor:
    """A checkpoint file holds tensors only."""
    # bytearray, because torch wants memory that it may write to
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _read(data: bytes) -> _Checkpoint:
    tensors = tree.from_bytes(data)

    def part(prefix: str) -> tree.Tree:
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

    return _Checkpoint(
        part("model/"),
        {int(i): buffer for i, buffer in part("momentum/").items()},
        part("kept/"),
        [Epoch(**epoch) for epoch in json.loads(bytes(tensors["history"].numpy()))],
        part("mask/"),
        part("ever/"),
        json.loads(bytes(tensors["updates"].numpy())) if "updates" in tensors else [],
    )
