"""Tiny networks in lockstep against one after the other, by one worker: what the bundles of a study save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks import pairs
from benchmarks.table import Row, ratio_table

if TYPE_CHECKING:
    from torch import nn

    from prunecheck.training.together import Course, Member

BATCH = 64
SPARSITY = 0.9


@dataclass(frozen=True)
class Regime:
    """``steps`` a turn. ``perceptron``: 64-100-100-10 for digits."""

    model: str
    side: int
    steps: int
    seconds: float
    target: float | None = None

    @property
    def title(self) -> str:
        return f"{self.model}, {self.side} x {self.side}, batch {BATCH}: one at a time / together"


FULL = (
    Regime("perceptron", 8, 100, 15, 1.5),
    Regime("lenet_300_100", 8, 60, 15),
    Regime("convnet", 8, 25, 15),
    Regime("convnet", 14, 15, 15),  # no longer bundled: here it ends
)
QUICK = (Regime("perceptron", 8, 2, 0), Regime("convnet", 8, 2, 0))


def report(quick: bool, say: Callable[[str], None]) -> str:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    try:
        return ratio_table([compared(regime, say) for regime in (QUICK if quick else FULL)])
    finally:
        torch.set_num_threads(threads)


def compared(regime: Regime, say: Callable[[str], None]) -> Row:
    """Raises RuntimeError where this machine's kernels do not give equal bits: then there is nothing to compare."""
    from prunecheck.training.together import can_group, train_alone, train_together

    say(f"together: {regime.title}")
    course = _course()
    one_by_one, lockstep = _members(regime), _members(regime)
    if not can_group(lockstep, course):
        raise RuntimeError(f"{regime.title}: not trained together on this machine")

    def alone() -> None:
        last = len(one_by_one[0].run.history) + 1
        for member in one_by_one:
            train_alone(member, replace(course, last=last))

    def together() -> None:
        train_together(lockstep, replace(course, last=len(lockstep[0].run.history) + 1))

    arms = {"alone": pairs.timed(alone), "together": pairs.timed(together)}
    for turn in arms.values():
        turn()
    rounds = pairs.take_turns(arms, regime.seconds)
    return Row(regime.title, pairs.ratio(rounds, slow="alone", fast="together"), target=regime.target)


def _course() -> Course:
    from prunecheck.pruning.task import task_named
    from prunecheck.training.recipe import Recipe
    from prunecheck.training.together import Course

    recipe = Recipe(epochs=10**9, batch_size=BATCH, lr=0.01, pad=0, flip=False)
    return Course(recipe, task_named("classification"), "benchmark", 0, 1)


def _members(regime: Regime) -> list[Member]:
    """As many as a worker takes, each with its own weights, masks and order of made-up images."""
    import torch

    from prunecheck import random_ticket
    from prunecheck.pruning.seeds import torch_stream
    from prunecheck.runner.bundles import BUNDLE
    from prunecheck.training.feed import Feed
    from prunecheck.training.loop import start
    from prunecheck.training.together import Member

    images = torch.randint(0, 256, (BATCH * regime.steps, 1, regime.side, regime.side), dtype=torch.uint8)
    feed = Feed(images, torch.arange(len(images)) % 10, (0.5,), (0.3,))
    members = []
    for seed in range(BUNDLE):
        with torch_stream(seed, "init"):
            model = _network(regime).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        masks = random_ticket(model, SPARSITY, seed=seed)
        members.append(Member(start(model, _course().recipe), feed, feed.head(2), masks, seed))
    return members


def _network(regime: Regime) -> nn.Module:
    from torch import nn

    from prunecheck import models

    if regime.model != "perceptron":
        return models.build(regime.model, num_classes=10, in_channels=1, image_size=regime.side)
    inputs = regime.side**2
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)
    )
