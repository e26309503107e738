"""The training loop.

Masks are explicit: pruned weights start at 0 and their gradients are zeroed before every optimiser step, so weight,
gradient and momentum of a pruned position are exactly 0 throughout, and a kept weight that passes through 0 stays kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.sgd import SGD
from prunecheck.pruning.task import Task
from prunecheck.tensors import fingerprint
from prunecheck.training.dynamic import ChangingMasks
from prunecheck.training.evaluate import evaluate
from prunecheck.training.feed import AnyFeed
from prunecheck.training.parallel import Group
from prunecheck.training.recipe import Recipe
from prunecheck.training.step import HeldMasks, TrainingStep


@dataclass(frozen=True)
class Epoch:
    """The record of an epoch. Accuracies are fractions; ``train`` values are running means of the epoch."""

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class TrainingState:
    """The state of a training between two epochs: the content of a checkpoint."""

    model: nn.Module
    optimiser: torch.optim.SGD
    history: list[Epoch]


def start(model: nn.Module, recipe: Recipe) -> TrainingState:
    """The state before the first epoch of *recipe*."""
    optimiser = SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        # The fused form updates all weights in one pass over memory.
        fused=True,
    )
    return TrainingState(model, optimiser, [])


@dataclass
class Training:
    """A training between two epochs, from *state* on: epochs ``first <= epoch < last`` of the recipe's schedule.

    ``masks``: True = keep; ``changing``, in their place: masks that a method changes on the way. ``phase`` names the
    random stream of order and augmentation; without ``shuffle`` the order is that of the data. ``precision``:
    ``bfloat16`` for products in bfloat16 (torch.autocast); weights, momentum and loss stay float32. ``after_epoch`` is
    called after every epoch but that of a divergence. ``finite``: False once a loss or a weight was not finite, which
    ends the training. ``eager_reason``: why a GPU could not record its steps. ``group``: the processes that train this
    network together; ``sync_batch_norm``: whether its batch normalisation is over whole batches.
    """

    state: TrainingState
    train_feed: AnyFeed
    test_feed: AnyFeed
    recipe: Recipe
    task: Task
    masks: Mapping[str, Tensor]
    seed: int
    phase: str
    first: int
    last: int
    shuffle: bool = True
    precision: str = "float32"
    changing: ChangingMasks | None = None
    after_epoch: Callable[[TrainingState], None] = lambda _: None
    group: Group | None = None
    sync_batch_norm: bool = True
    finite: bool = field(default=True, init=False)
    eager_reason: str = field(default="", init=False)
    step: TrainingStep = field(init=False)

    def __post_init__(self) -> None:
        model = self.state.model
        held = HeldMasks(model, self.masks if self.changing is None else self.changing.masks)
        # The weights a ticket starts from are dense: pruned positions still hold their values.
        held.apply()
        optimiser, how = self.state.optimiser, (self.task, self.recipe, self.precision)
        self.step = TrainingStep(model, optimiser, held, self.train_feed, *how, self.changing, self.group)
        if self.group is not None:
            self.group.validate_sizes(self.recipe.batches(self.train_feed.samples), self.sync_batch_norm)
            self._validate_same(self.group)

    def _validate_same(self, group: Group) -> None:
        """Raises StepError where the processes of this training hold different weights or masks."""
        device = self.train_feed.targets.device
        masks = self.masks if self.changing is None else self.changing.masks
        group.validate_same(fingerprint(masks), "masks", device)
        group.validate_same(fingerprint(dict(self.state.model.named_parameters())), "weights", device)

    @property
    def epoch(self) -> int:
        """The epoch that comes next. Those of a checkpoint's history are finished and are not trained again."""
        return self.first + len(self.state.history)

    @property
    def ended(self) -> bool:
        return not self.finite or self.epoch >= self.last

    def begin_epoch(self) -> None:
        self.state.model.train()
        self.step.loss_sum.zero_()
        self.step.correct.zero_()
        if self.changing is not None:
            self.changing.next_step = self.epoch * self.recipe.steps_per_epoch(self.train_feed.samples)
        self.step.draws = self.train_feed.draws(self.recipe, self.seed, self.phase, self.epoch, shuffle=self.shuffle)

    def layer_stream(self) -> AbstractContextManager[None]:
        """Where dropout draws from within an epoch: a stream per epoch, so that a resumed training draws the same
        without any saved state."""
        # other samples, other draws
        process = () if self.group is None or self.group.rank == 0 else (self.group.rank,)
        return torch_stream(self.seed, self.phase, "layers", self.epoch, *process)

    def learning_rates(self) -> list[float]:
        """That of every step of the epoch."""
        steps = self.recipe.steps_per_epoch(self.train_feed.samples)
        return [self.recipe.lr_at(self.epoch, step, steps) for step in range(steps)]

    def end_epoch(self) -> None:
        """Record the epoch whose last step is done, and find out whether the training diverged in it."""
        model, samples = self.state.model, self.train_feed.samples
        if self.group is not None:
            for total in (self.step.loss_sum, self.step.correct):
                self.group.sum(total)
            self.group.equalise_buffers(model)
            self._validate_same(self.group)
        train_loss, train_accuracy = float(self.step.loss_sum) / samples, int(self.step.correct) / samples
        # the weights too: an error in the last step of an epoch is in no loss of that epoch
        self.finite = math.isfinite(train_loss) and all_finite(model)
        if not self.finite:
            self.step.masks.apply()  # 0 times an infinite gradient is NaN, and pruned weights are 0 in every artefact
        test_accuracy = evaluate(model, self.test_feed, self.task, self.precision, self.group)
        self.state.history.append(Epoch(self.epoch, train_loss, train_accuracy, test_accuracy))
        # No checkpoint of a diverged training: it ends here, and its results are final.
        if self.finite:
            self.after_epoch(self.state)


RunEpoch = Callable[[Sequence[Training]], None]
"""performs the steps of one epoch of every training"""


def step_by_step(trainings: Sequence[Training]) -> None:
    """The steps of one epoch of every training, each called from here."""
    for training in trainings:
        step, group = training.step, training.state.optimiser.param_groups[0]
        batches = training.recipe.batches(training.train_feed.samples)
        with training.layer_stream():
            for rows, rate in zip(batches, training.learning_rates(), strict=True):
                group["lr"] = rate
                step(rows)


def train_all(trainings: Sequence[Training], run_epoch: RunEpoch = step_by_step) -> Iterator[Training]:
    """Train in place, an epoch of every training after the other; yields each when it is finished or has diverged,
    which is found at the end of an epoch. The others go on without it."""
    active = list(trainings)
    while active:
        left = [training for training in active if not training.ended]
        yield from (training for training in active if training.ended)
        active = left
        for training in active:
            training.begin_epoch()
        if active:
            run_epoch(active)
        for training in active:
            training.end_epoch()


def train(
    state: TrainingState,
    train_feed: AnyFeed,
    test_feed: AnyFeed,
    recipe: Recipe,
    task: Task,
    *,
    masks: Mapping[str, Tensor] | None,
    seed: int,
    phase: str,
    first: int,
    last: int,
    **how: Any,
) -> bool:
    """One training, step by step; whether it stayed finite. The arguments are the fields of :class:`Training`."""
    training = Training(
        state, train_feed, test_feed, recipe, task, masks or {}, seed=seed, phase=phase, first=first, last=last, **how
    )
    for _ in train_all([training]):
        pass
    return training.finite


@torch.no_grad()
def all_finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
