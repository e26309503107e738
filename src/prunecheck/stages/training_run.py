"""A training that can be interrupted: checkpoints at epoch ends, bit-equal when resumed.

A checkpoint holds weights, momentum and history; order, augmentation and dropout need none, since every epoch draws
from streams of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from prunecheck.core import tree
from prunecheck.stages.context import Context, as_json
from prunecheck.study.step import Step
from prunecheck.training.loop import Epoch, Run, start, train
from prunecheck.training.recipe import Recipe
from prunecheck.training.task import task_named

CHECKPOINT_SECONDS = 20.0


def train_model(
    step: Step,
    context: Context,
    model: nn.Module,
    recipe: Recipe,
    *,
    masks: Mapping[str, Tensor] | None,
    phase: str,
    first: int,
    last: int,
    at_epoch: Mapping[int, Callable[[nn.Module], None]] | None = None,
) -> bytes:
    """Train *model* in place (resuming where a checkpoint exists) and return the facts as JSON bytes.

    ``at_epoch``: called with the model once that many epochs of the schedule are finished.
    """
    params = step.params
    run = start(model, recipe)
    _resume(context, step.key, run)
    train_feed, test_feed = context.feeds(params, recipe.pad)
    saved = time.monotonic()

    def after_epoch(run: Run) -> None:
        nonlocal saved
        done = first + len(run.history)
        if at_epoch and done in at_epoch:
            at_epoch[done](run.model)
        if done < last and time.monotonic() - saved > CHECKPOINT_SECONDS:
            context.store.save_partial(step.key, _checkpoint(run))
            saved = time.monotonic()

    finite = train(
        run,
        train_feed,
        test_feed,
        recipe,
        task_named(params["task"]),
        masks=masks,
        seed=params["seed"],
        phase=phase,
        first=first,
        last=last,
        after_epoch=after_epoch,
    )
    return as_json(_facts(run, finite, first, last, train_feed.samples, test_feed.samples))


def _facts(run: Run, finite: bool, first: int, last: int, n_train: int, n_test: int) -> dict[str, object]:
    accuracies = [epoch.test_accuracy for epoch in run.history]
    return {
        "accuracy": accuracies[-1] if accuracies else None,
        "best_accuracy": max(accuracies, default=None),
        "train_accuracy": run.history[-1].train_accuracy if run.history else None,
        "diverged": not finite,
        "first_epoch": first,
        "last_epoch": last,
        "n_train": n_train,
        "n_test": n_test,
        "history": [_finite(epoch) for epoch in run.history],
    }


def _finite(epoch: Epoch) -> dict[str, object]:
    """JSON has no NaN: a loss that is not finite is written as null."""
    loss = epoch.train_loss
    return epoch.to_dict() | {"train_loss": loss if loss == loss and abs(loss) != float("inf") else None}


def _checkpoint(run: Run) -> bytes:
    tensors = {f"model/{name}": value for name, value in run.model.state_dict().items()}
    for i, parameter in enumerate(run.model.parameters()):
        momentum = run.optimiser.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum/{i}"] = momentum
    history = json.dumps([epoch.to_dict() for epoch in run.history]).encode()
    tensors["history"] = torch.frombuffer(bytearray(history), dtype=torch.uint8)
    return tree.to_bytes(tensors)


def _resume(context: Context, key: str, run: Run) -> None:
    data = context.store.load_partial(key)
    if data is None:
        return
    tensors = tree.from_bytes(data)
    run.model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    for i, parameter in enumerate(run.model.parameters()):
        if f"momentum/{i}" in tensors:
            run.optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(
                tensors[f"momentum/{i}"]
            )
    run.history = [Epoch(**epoch) for epoch in json.loads(bytes(tensors["history"].numpy()))]
