"""Training steps that are recorded once and replayed: those of several trainings at a time, on a GPU.

A GPU computes a step of a small network faster than Python can ask for it. Recorded, the steps of all trainings are one
request, and those of different trainings are computed beside each other. Every training has its own weights, momentum,
masks, order and learning rates, so which trainings are recorded together changes no bit of any.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck.text import printable_error
from prunecheck.training.feed import Draws
from prunecheck.training.loop import Training

Call = Callable[[], None]


class Gpu(Protocol):
    """What recording needs of a device (``prunecheck.training.cuda``); tests simulate one."""

    def run(self, call: Call) -> None:
        """Call now. Raises RuntimeError where *call* waits for the device."""

    def record(self, rounds: Sequence[Sequence[Call]]) -> list[Call]:
        """One replay for each of *rounds*, which holds calls that may be computed beside each other; nothing is
        computed yet. Raises RuntimeError where a call cannot be recorded."""

    def seconds(self, replay: Call, times: int) -> float:
        """The time that *times* replays take, until the device is done."""

    def free_bytes(self) -> int:
        """Memory that recordings may still take."""

    def held_bytes(self) -> int:
        """Memory that this process holds on the device."""

    def is_out_of_memory(self, error: BaseException) -> bool: ...


class Unrecordable(Exception):
    """Why the steps of a network must be called one by one; the reason is a clause about the network."""


class SelfAdvancingStep:
    """A training's step that finds batch and learning rate by counters on the device, so that it needs nothing of the
    host. Tensors that it reads keep their places in memory from epoch to epoch."""

    def __init__(self, training: Training) -> None:
        self.training, self._step = training, training.step
        self._draws: Draws | None = None
        rates, device = training.learning_rates(), training.train_feed.targets.device
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self._count = torch.zeros(1, dtype=torch.int64, device=device)
        self._rates = torch.zeros(len(rates), device=device)
        self._rate = torch.zeros((), device=device)
        self._positions = torch.arange(max(self.sizes), device=device)
        optimiser = training.state.optimiser
        optimiser.param_groups[0]["lr"] = self._rate
        # A first step without momentum would be another step than the second, and could not be replayed.
        if training.recipe.momentum:
            for parameter in training.state.model.parameters():
                if parameter.requires_grad and "momentum_buffer" not in optimiser.state[parameter]:
                    optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    @property
    def sizes(self) -> list[int]:
        """The sizes of an epoch's batches, in order."""
        return [rows.stop - rows.start for rows in self.training.recipe.batches(self.training.train_feed.samples)]

    def begin_epoch(self) -> None:
        """Take over what was drawn for the epoch."""
        new = self._step.draws
        if self._draws is None:
            self._draws = new
        for old, drawn in ((getattr(self._draws, name), getattr(new, name)) for name in vars(new)):
            if old is not None and old is not drawn:
                old.copy_(drawn)
        self._step.draws = self._draws
        self._rates.copy_(torch.tensor(self.training.learning_rates()))
        self._row.zero_()
        self._count.zero_()

    def __call__(self, size: int) -> None:
        """Train on the next *size* images of the epoch."""
        rows = self._row + self._positions[:size]
        self._rate.copy_(self._rates.index_select(0, self._count)[0])
        self._step(rows)
        self._row += size
        self._count += 1

    def changed(self) -> list[Tensor]:
        """All tensors that a step changes."""
        model, optimiser = self.training.state.model, self.training.state.optimiser
        momenta = [state["momentum_buffer"] for state in optimiser.state.values() if "momentum_buffer" in state]
        counts = [self._row, self._count, self._rate, self._step.loss_sum, self._step.correct]
        return [*(p.detach() for p in model.parameters()), *model.buffers(), *momenta, *counts]


class Recorder:
    """``run_epoch`` of ``train_all``: replays the recorded steps of all trainings."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._steps: dict[int, SelfAdvancingStep] = {}
        self._tried: set[int] = set()
        self._recorded: list[int] = []
        self._replays: dict[int, Call] = {}

    def __call__(self, trainings: Sequence[Training]) -> None:
        steps = self._begin(trainings)
        if self._recorded != [id(training) for training in trainings]:
            self._record(trainings, steps)
        for size in steps[0].sizes:
            self._replays[size]()

    def prepare(self, trainings: Sequence[Training]) -> None:
        """Record the steps and try them; the trainings are left as they were. Raises Unrecordable, or what the device
        raises where its memory is too small."""
        for training in trainings:
            training.begin_epoch()
        self._record(trainings, self._begin(trainings))

    def seconds(self, trainings: Sequence[Training], most: int = 10) -> float:
        """The time of one replay for trainings that are prepared; they are left as they were."""
        steps = self._begin(trainings)
        size = steps[0].sizes[0]
        times = min(most, steps[0].sizes.count(size))
        with _restored(steps):
            return self._gpu.seconds(self._replays[size], times) / times

    def release(self) -> None:
        """Give up the recordings and their memory."""
        self._recorded, self._replays = [], {}
        for step in self._steps.values():  # gradients are in the recordings' memory
            step.training.state.optimiser.zero_grad(set_to_none=True)

    def _begin(self, trainings: Sequence[Training]) -> list[SelfAdvancingStep]:
        steps = [_known(self._steps, training) for training in trainings]
        for step in steps:
            step.begin_epoch()
        return steps

    def _record(self, trainings: Sequence[Training], steps: Sequence[SelfAdvancingStep]) -> None:
        self.release()
        sizes = list(dict.fromkeys(steps[0].sizes))
        new = [step for step in steps if id(step.training) not in self._tried]
        with _restored(steps):
            some = _trial(steps[0].sizes)
            expected = [(step, self._one_by_one(step, some)) for step in new]
        with _restored(steps):
            try:
                replays = self._gpu.record([[partial(step, size) for step in steps] for size in sizes])
            except RuntimeError as error:
                if self._gpu.is_out_of_memory(error):
                    raise
                raise Unrecordable(f"its step cannot be recorded ({printable_error(error)})") from error
            self._replays = dict(zip(sizes, replays, strict=True))
            for size in some if new else ():
                self._replays[size]()
            if not all(_same(step.changed(), wanted) for step, wanted in expected):
                raise Unrecordable("its recorded step computes something else than the step itself")
        self._tried.update(id(step.training) for step in new)
        self._recorded = [id(training) for training in trainings]

    def _one_by_one(self, step: SelfAdvancingStep, sizes: Sequence[int]) -> list[Tensor]:
        """What some steps make of a training. Raises Unrecordable where they do what a replay would not do."""
        model, device = step.training.state.model, step.training.train_feed.targets.device
        before = _attributes(model), _generators(device), _places(model)
        try:
            for size in sizes:
                self._gpu.run(partial(step, size))
        except RuntimeError as error:
            if self._gpu.is_out_of_memory(error):
                raise
            raise Unrecordable(f"its step cannot run without waiting for the GPU ({printable_error(error)})") from error
        attributes, generators, places = before
        if generators != _generators(device):
            raise Unrecordable("it draws random numbers in its forward pass, such as dropout does")
        if attributes != _attributes(model):
            raise Unrecordable("its forward pass changes attributes that are not tensors")
        if places != _places(model):
            raise Unrecordable("its forward pass replaces its buffers")
        return [tensor.clone() for tensor in step.changed()]


def one_by_one(trainings: Sequence[Training]) -> None:
    """``run_epoch`` of ``train_all`` on a GPU where steps cannot be recorded: the same steps, each called from here."""
    for training in trainings:
        step = SelfAdvancingStep(training)
        step.begin_epoch()
        with training.layer_stream():
            for size in step.sizes:
                step(size)


def _known(steps: dict[int, SelfAdvancingStep], training: Training) -> SelfAdvancingStep:
    if id(training) not in steps:
        steps[id(training)] = SelfAdvancingStep(training)
    return steps[id(training)]


def _trial(sizes: Sequence[int]) -> list[int]:
    """Some steps in which every size of a batch occurs, no more of each than an epoch has."""
    return list(sizes) if len(sizes) <= 3 else [*sizes[:2], sizes[-1]]


class _restored:
    """A context after which the tensors that the steps change are as before."""

    def __init__(self, steps: Sequence[SelfAdvancingStep]) -> None:
        self._tensors = [tensor for step in steps for tensor in step.changed()]

    def __enter__(self) -> None:
        self._before = [tensor.clone() for tensor in self._tensors]

    @torch.no_grad()
    def __exit__(self, *_: object) -> None:
        for tensor, before in zip(self._tensors, self._before, strict=True):
            tensor.copy_(before)


def _same(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Equal bits, NaN included."""
    return all(
        torch.equal(a.reshape(-1).contiguous().view(torch.uint8), b.reshape(-1).contiguous().view(torch.uint8))
        for a, b in zip(found, wanted, strict=True)
    )


def _attributes(model: nn.Module) -> list[tuple[str, str, object]]:
    """Numbers, texts and switches that modules hold: a replay does not change them, nor does it read them again."""
    return [
        (name, key, value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if value is None or isinstance(value, (bool, int, float, str))
    ]


def _places(model: nn.Module) -> list[int]:
    return [tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())]


def _generators(device: torch.device) -> list[object]:
    """The states of all generators that a forward pass may draw from."""
    states = [torch.get_rng_state()] + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])
    drawn: Any = np.random.get_state()  # noqa: NPY002
    return [*(state.numpy().tobytes() for state in states), random.getstate(), drawn[1].tobytes(), drawn[2:]]
