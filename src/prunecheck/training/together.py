"""Several small trainings in lockstep: what K networks would compute one after the other, in fewer and larger calls.

A step of a network of digits' size is mostly the overhead of calls. Scheduling must not change a bit of a result, and
whether a kernel treats a part of a large tensor like a small one is the kernel's business: so nothing is trained
together before a probe has found equal bits both ways, with these networks and batches of these sizes, on this machine.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck import tensors as tree
from prunecheck.pruning.task import Task
from prunecheck.training import loop
from prunecheck.training.evaluate import evaluate
from prunecheck.training.feed import Feed
from prunecheck.training.grouped import Grouped
from prunecheck.training.grouping import Ungroupable, grouped
from prunecheck.training.loop import Epoch, HeldMasks, Run
from prunecheck.training.recipe import Recipe


@dataclass(frozen=True)
class Member:
    """One of the runs, with what ``loop.train`` takes for it alone."""

    run: Run
    train_feed: Feed
    test_feed: Feed
    masks: Mapping[str, Tensor]
    seed: int
    after_epoch: Callable[[Run], None] = lambda _: None


@dataclass(frozen=True)
class Course:
    """What all members of a bundle have in common: see ``loop.train``."""

    recipe: Recipe
    task: Task
    phase: str
    first: int
    last: int
    precision: str = "float32"


def train_together(members: Sequence[Member], course: Course) -> list[bool]:
    """As ``loop.train`` for every member, to the same bits; for each, whether all stayed finite.

    Members train one at a time where they cannot be grouped, where the probe finds another bit, and from the epoch on
    in which one of them diverges: that one's last epoch, too, is the ordinary loop's.
    """
    if can_group(members, course):
        lockstep = _lockstep(members, course.recipe)
        while course.first + len(members[0].run.history) < course.last:
            if not _epoch(lockstep, members, course):
                break
    return [train_alone(member, course) for member in members]


def train_alone(member: Member, course: Course) -> bool:
    """What of the course is left, in the ordinary loop."""
    return loop.train(
        member.run,
        member.train_feed,
        member.test_feed,
        course.recipe,
        course.task,
        masks=member.masks,
        seed=member.seed,
        phase=course.phase,
        first=course.first,
        last=course.last,
        precision=course.precision,
        after_epoch=member.after_epoch,
    )


@dataclass(frozen=True)
class _Lockstep:
    """K runs whose networks are grouped and whose weights one optimiser moves; each keeps a momentum of its own."""

    network: Grouped
    optimiser: torch.optim.SGD
    held: HeldMasks


def _lockstep(members: Sequence[Member], recipe: Recipe) -> _Lockstep:
    """Raises Ungroupable."""
    example, _ = members[0].train_feed.select(np.arange(2))
    network = grouped([member.run.model for member in members], example)
    every = nn.ModuleList(network.networks)
    optimiser = loop.start(every, recipe).optimiser
    for member in members:
        for parameter in member.run.model.parameters():
            optimiser.state[parameter] = member.run.optimiser.state[parameter]  # one and the same dict
    masks = {f"{k}.{name}": mask for k, member in enumerate(members) for name, mask in member.masks.items()}
    held = HeldMasks(every, masks)
    held.apply()
    return _Lockstep(network, optimiser, held)


def _epoch(lockstep: _Lockstep, members: Sequence[Member], course: Course) -> bool:
    """One more epoch of every member, if all stay finite; else False, and everything is as it was before."""
    epoch = course.first + len(members[0].run.history)
    before = [_state(member.run) for member in members]
    for member in members:
        member.run.model.train()
    with lockstep.network.side_by_side():
        losses, credits = _steps(lockstep, members, course, epoch)
    if not all(map(math.isfinite, losses)) or not all(loop.all_finite(member.run.model) for member in members):
        for member, state in zip(members, before, strict=True):
            _restore(member.run, state)
        return False
    for member, loss, credit in zip(members, losses, credits, strict=True):
        samples = member.train_feed.samples
        judge = partial(evaluate, member.run.model, member.test_feed, course.task)
        loop.end_epoch(member.run, lockstep.held, epoch, loss / samples, credit / samples, judge)
        member.after_epoch(member.run)
    return True


State = tuple[tree.Tree, list[dict[str, Any]]]


def _state(run: Run) -> State:
    """A copy of weights, statistics and momenta."""
    momenta = [dict(run.optimiser.state[parameter]) for parameter in run.model.parameters()]
    return tree.clone(run.model.state_dict()), [
        {name: value.clone() for name, value in each.items() if value is not None} for each in momenta
    ]


def _restore(run: Run, state: State) -> None:
    weights, momenta = state
    run.model.load_state_dict(weights)
    for parameter, momentum in zip(run.model.parameters(), momenta, strict=True):
        run.optimiser.state[parameter].clear()
        run.optimiser.state[parameter].update(momentum)


def _steps(lockstep: _Lockstep, members: Sequence[Member], course: Course, epoch: int) -> tuple[list[float], list[int]]:
    """Every step of an epoch; losses and credits of every member, summed over its samples."""
    network, optimiser, task = lockstep.network, lockstep.optimiser, course.task
    losses = torch.zeros(len(members))
    credits = torch.zeros(len(members), dtype=torch.int64)
    steps = course.recipe.steps_per_epoch(members[0].train_feed.samples)
    feeds = [member.train_feed.epoch(course.recipe, member.seed, course.phase, epoch) for member in members]
    for step, batches in enumerate(zip(*feeds, strict=True)):
        optimiser.param_groups[0]["lr"] = course.recipe.lr_at(epoch, step, steps)
        optimiser.zero_grad(set_to_none=True)
        outputs = network([inputs for inputs, _ in batches])
        each = [task.loss(output, targets) for output, (_, targets) in zip(outputs, batches, strict=True)]
        torch.autograd.backward(each)
        network.hand_out_gradients()
        lockstep.held.zero_pruned_gradients()
        optimiser.step()
        losses += torch.stack(each).detach() * len(batches[0][1])
        scored = zip(outputs, batches, strict=True)
        credits += torch.stack([task.credit(output.detach(), targets) for output, (_, targets) in scored])
    return losses.tolist(), credits.tolist()


_PROBED: dict[Hashable, bool] = {}
"""whether equal bits were found, by everything that decides which kernels run; for the life of the process"""


def can_group(members: Sequence[Member], course: Course) -> bool:
    """Whether these runs stand at the same epoch, can be grouped, and have been seen to come to the same bits."""
    samples = {(member.train_feed.samples, len(member.run.history)) for member in members}
    if len(members) < 2 or len(samples) > 1 or course.precision != "float32":
        return False
    feed, model = members[0].train_feed, members[0].run.model
    sizes = tuple((name, tuple(tensor.shape)) for name, tensor in model.state_dict().items())
    images = feed.channels, feed.height, feed.width, _few(feed, course.recipe)
    name = (len(members), repr(model), sizes, images, tuple(members[0].masks), replace(course, last=0))
    if name not in _PROBED:
        _PROBED[name] = probe(members, course)
    return _PROBED[name]


def probe(members: Sequence[Member], course: Course) -> bool:
    """Train copies of the members for three steps, the last of them of the size of an epoch's last, together and one
    at a time: whether every bit of weights, statistics, momenta and losses is equal."""
    few = replace(course, last=course.first + 1)
    alone, together = ([_copy(member, course.recipe) for member in members] for _ in range(2))
    try:
        lockstep = _lockstep(together, course.recipe)
    except Ungroupable:
        return False
    if not _epoch(lockstep, together, few):
        return False
    for member in alone:
        train_alone(member, few)
    return all(_bits(one.run) == _bits(other.run) for one, other in zip(alone, together, strict=True))


def _few(feed: Feed, recipe: Recipe) -> int:
    """So many samples that there are two whole batches and a last one as in a whole epoch, or as many as there are."""
    last = feed.samples - (recipe.steps_per_epoch(feed.samples) - 1) * recipe.batch_size
    return min(feed.samples, 2 * recipe.batch_size + last)


def _copy(member: Member, recipe: Recipe) -> Member:
    few = member.train_feed.head(_few(member.train_feed, recipe))
    run = loop.start(copy.deepcopy(member.run.model), recipe)
    return Member(run, few, member.test_feed.head(1), member.masks, member.seed)


def _bits(run: Run) -> tuple[list[Epoch], list[bytes]]:
    weights, momenta = _state(run)
    tensors = [*weights.values(), *(value for each in momenta for value in each.values())]
    return run.history, [tensor.contiguous().numpy().tobytes() for tensor in tensors]
