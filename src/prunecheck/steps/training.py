"""A training that can be interrupted: checkpoints at epoch ends, bit-equal when resumed.

The last epoch's end is kept in memory, written to the disk now and then, and at once when the process is told to stop.

A checkpoint holds weights, momentum, history and the rewind weights once they are known, all in one file, so that
none of them can be lost alone. Order, augmentation and dropout need none, since every epoch draws from streams of its
own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck import tensors as tree
from prunecheck.errors import Interrupted
from prunecheck.pruning.task import task_named
from prunecheck.steps.context import Context, as_json
from prunecheck.store import Store
from prunecheck.study.step import Step
from prunecheck.training.backend import Trainee, trainee
from prunecheck.training.feed import Feed
from prunecheck.training.loop import Epoch, Run, start
from prunecheck.training.recipe import Recipe
from prunecheck.training.together import Course, Member, train_together

CHECKPOINT_SECONDS = 20.0


@dataclass
class Training:
    """One training, ready to be carried out. ``trained``: the network as its backend trains it; ``kept``: the state
    the network was in when ``keep_after`` epochs of the schedule were finished (None where that is never so).
    ``finite``: how it ended, once it has."""

    model: nn.Module
    trained: Trainee
    run: Run
    feeds: tuple[Feed, Feed]
    course: Course
    seed: int
    keep_after: int | None
    kept: tree.Tree | None
    held: _Held
    finite: bool = True

    @property
    def member(self) -> Member:
        return Member(self.run, *self.feeds, self.trained.masks, self.seed, self._after_epoch)

    def _after_epoch(self, run: Run) -> None:
        done = self.course.first + len(run.history)
        if done == self.keep_after:
            self.kept = tree.clone(run.model.state_dict())
        if done < self.course.last:
            self.held.hold(_checkpoint(run, self.kept))

    def facts(self) -> bytes:
        """What there is to know of a finished training, as JSON."""
        samples = [feed.samples for feed in self.feeds]
        found = _facts(self.run, self.finite, self.course.first, self.course.last, *samples)
        return as_json({**found, **self.trained.facts})


def begin(
    step: Step,
    context: Context,
    model: nn.Module,
    recipe: Recipe,
    *,
    masks: Mapping[str, Tensor] | None,
    phase: str,
    first: int,
    last: int,
    keep_after: int | None = None,
) -> Training:
    """*model* made ready to be trained, from where a checkpoint left it if there is one."""
    params = step.params
    feeds = context.feeds(params, recipe.pad)
    example, _ = feeds[0].select(np.arange(min(2, feeds[0].samples)))
    trained = trainee(model, masks or {}, example, params.get("backend"))
    run = start(trained.network, recipe)
    kept = tree.clone(model.state_dict()) if keep_after == first else None
    checkpoint = _checkpoint_of(context, step.key)
    if checkpoint is not None and (keep_after is None or checkpoint.kept or checkpoint.done(first) < keep_after):
        checkpoint.put_into(run)
        kept = checkpoint.kept or kept
    precision = params.get("precision", "float32")
    course = Course(recipe, task_named(params["task"]), phase, first, last, precision)
    return Training(
        model, trained, run, feeds, course, params["seed"], keep_after, kept, _Held(context.store, step.key)
    )


def carry_out(trainings: Sequence[Training]) -> None:
    """Train all of them in place; several, of one course, in lockstep where that gives the same bits."""
    try:
        finite = train_together([training.member for training in trainings], trainings[0].course)
    except (KeyboardInterrupt, Interrupted):
        for training in trainings:
            training.held.write()  # only the epoch under way is trained again
        raise
    for training, fine in zip(trainings, finite, strict=True):
        training.finite = fine
        training.trained.put_into(training.model)


@dataclass
class _Held:
    """The end of a training's last epoch, as long as it is not on the disk."""

    store: Store
    key: str
    state: tree.Tree | None = None
    written: float = field(default_factory=time.monotonic)

    def hold(self, state: tree.Tree) -> None:
        """Keep *state*; write it where the last time is long ago."""
        self.state = state
        if time.monotonic() - self.written > CHECKPOINT_SECONDS:
            self.write()

    def write(self) -> None:
        if self.state is not None:
            self.store.save_partial(self.key, tree.to_bytes(self.state))
            self.state, self.written = None, time.monotonic()


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


@dataclass(frozen=True)
class Checkpoint:
    """A training as it stood at the end of an epoch. ``kept``: empty where that epoch was not yet reached."""

    model: tree.Tree
    momentum: dict[int, Tensor]
    kept: tree.Tree
    history: list[Epoch]

    def done(self, first: int) -> int:
        """Finished epochs of the schedule."""
        return first + len(self.history)

    def put_into(self, run: Run) -> None:
        run.model.load_state_dict(self.model)
        for i, parameter in enumerate(run.model.parameters()):
            if i in self.momentum:
                run.optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(self.momentum[i])
        run.history = list(self.history)


def _checkpoint(run: Run, kept: tree.Tree | None) -> tree.Tree:
    """A copy of all that a ``Checkpoint`` holds, as it stands now."""
    tensors = {f"model/{name}": value.clone() for name, value in run.model.state_dict().items()}
    tensors |= {f"kept/{name}": value for name, value in (kept or {}).items()}
    for i, parameter in enumerate(run.model.parameters()):
        momentum = run.optimiser.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum/{i}"] = momentum.clone()
    history = json.dumps([epoch.to_dict() for epoch in run.history]).encode()
    tensors["history"] = torch.frombuffer(bytearray(history), dtype=torch.uint8)
    return tensors


def _checkpoint_of(context: Context, key: str) -> Checkpoint | None:
    data = context.store.load_partial(key)
    if data is None:
        return None
    tensors = tree.from_bytes(data)

    def part(prefix: str) -> tree.Tree:
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

    return Checkpoint(
        part("model/"),
        {int(i): buffer for i, buffer in part("momentum/").items()},
        part("kept/"),
        [Epoch(**epoch) for epoch in json.loads(bytes(tensors["history"].numpy()))],
    )
