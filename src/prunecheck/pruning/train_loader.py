"""The training set as a method that learns its mask gets it: epochs of batches, counted against the declared budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.scoring_inputs import Batch
from prunecheck.text import counted

Loss = Callable[[Tensor, Tensor], Tensor]


class TrainLoader:
    """Every iteration is the next epoch: ``for inputs, targets in train_loader``. ``len(train_loader)``: its batches.

    *epoch*: the batches of an epoch (0-based), the same at every call. *batches*: how many there are. *loss*: of
    (outputs, targets), as the study trains with it. *budget*: epochs that may be used. Every batch that is drawn
    counts, also where an epoch is broken off. More than *budget* epochs raise PluginError, there and, should the method
    swallow that, in ``validate``.
    """

    def __init__(
        self, epoch: Callable[[int], Iterable[Batch]], batches: int, loss: Loss, budget: int, method: str
    ) -> None:
        self._epoch, self._batches, self._loss, self._budget, self._method = epoch, batches, loss, budget, method
        self._started = self._drawn = 0
        self._exceeded = False

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        number = self._started
        self._started += 1
        for batch in self._epoch(number):
            if self._drawn >= self._budget * self._batches:
                self._exceeded = True
                self.validate()
            self._drawn += 1
            yield batch

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss the study trains with, label smoothing included: the mean over the batch, differentiable."""
        return self._loss(outputs, targets)

    @property
    def epochs_used(self) -> float:
        """Epochs drawn so far; a part of an epoch counts as a fraction."""
        return self._drawn / self._batches

    def validate(self) -> None:
        """Raises PluginError if more than the budget was asked for."""
        if self._exceeded:
            raise PluginError(
                f"method {self._method!r} asks for more than {counted(self._budget, 'epoch')} of the training set, its "
                f"budget. Let it iterate over train_loader {MASK_EPOCHS} times, or raise options.{MASK_EPOCHS}."
            )
