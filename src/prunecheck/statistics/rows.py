"""One trained network as a row of results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from prunecheck.errors import StudyError
from prunecheck.text import percent, printable, signed

Metric = Literal["accuracy", "p_correct", "brier", "nll"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Unit = Literal["points", "nats"]
METRIC_NAMES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "p_correct": "probability of the right class",
    "brier": "1 minus the Brier score",
    "nll": "log-likelihood",
}
"""what drops, as captions and sentences name it"""
CLEAN = "clean"
DENSE = "dense"


@dataclass(frozen=True)
class Row:
    """One network after its last epoch. ``accuracy`` on the test set, a fraction in [0, 1]; ``n_test`` its size.

    ``check`` is ``clean`` for the untouched arm; ``method`` is ``dense`` for the unpruned network (sparsity None).
    ``kept``: weights kept. ``overlap``: shared share (intersection over union) of this mask and the clean one.
    ``collapsed``: no better than guessing, None = to be judged from the accuracy. ``p_correct``: mean probability of
    the right class; ``brier``: 1 minus the mean Brier score, in [-1, 1]; None = not measured. ``mask_epochs``: epochs
    of the training set in which the mask was learned, before the network was trained; None = none was. ``epochs``: in
    which the network was trained after that, from its starting weights; None = unknown. ``nll``: mean over documents
    of the negative log-likelihood per token, in nats, at least 0; None = not measured.
    """

    method: str
    check: str
    sparsity: float | None
    seed: int
    accuracy: float
    n_test: int
    kept: int | None = None
    diverged: bool = False
    collapsed: bool | None = None
    overlap: float | None = None
    p_correct: float | None = None
    brier: float | None = None
    mask_epochs: float | None = None
    epochs: float | None = None
    nll: float | None = None

    def score(self, metric: Metric) -> float:
        """What verdicts compare, in the metric's unit, higher = better. Raises StudyError where it was not measured."""
        return scale(metric) * self.value(metric)

    def value(self, metric: Metric) -> float:
        """The metric as measured: a fraction, or nats per token. Raises StudyError where it was not measured."""
        found = {"accuracy": self.accuracy, "p_correct": self.p_correct, "brier": self.brier, "nll": self.nll}[metric]
        if found is None:
            raise StudyError(f"{self} has no {metric}, which is the metric to be judged.")
        return found

    @property
    def place(self) -> tuple[str, str, float, int]:
        """What makes the row this row and no other; sorts."""
        return (self.method, self.check, -1.0 if self.sparsity is None else self.sparsity, self.seed)

    def __str__(self) -> str:
        where = "" if self.sparsity is None else f" at {percent(self.sparsity)}"
        return printable(f"{self.method} x {self.check}{where}, seed {self.seed}")


def unit(metric: Metric) -> Unit:
    """The unit of differences and margins."""
    return "nats" if metric == "nll" else "points"


def unit_name(metric: Metric) -> str:
    """``points``, ``points of brier``, ``nats``: the unit of drops, with the metric where it is not accuracy."""
    return unit(metric) if metric in ("accuracy", "nll") else f"points of {metric}"


def scale(metric: Metric) -> float:
    """From a measured value to a score in the metric's unit, higher = better."""
    return -1.0 if metric == "nll" else 100.0


def number(value: float, unit: Unit) -> str:
    """``+0.40`` points, ``+0.059`` nats: a difference with the decimals that its unit deserves."""
    return signed(value, 3 if unit == "nats" else 2)


def size(value: float, unit: Unit) -> str:
    """``0.40`` points, ``0.059`` nats: a margin or a limit."""
    return f"{value:.3f}" if unit == "nats" else f"{value:.2f}"


def amount(value: float, unit: Unit) -> str:
    """``+0.40 points``."""
    return f"{number(value, unit)} {unit}"


def unique(located: Iterable[tuple[str, Row]]) -> tuple[Row, ...]:
    """Rows (each after the place it was read at), sorted, exact duplicates once. Contradictions raise StudyError."""
    found: dict[tuple[str, str, float, int], tuple[str, Row]] = {}
    for where, row in located:
        earlier, known = found.setdefault(row.place, (where, row))
        if known != row:
            raise StudyError(
                f"{where}: {row} was already given at {earlier} with other values "
                f"(accuracy {known.accuracy:g}, now {row.accuracy:g}). Which one is it?"
            )
    return tuple(row for _, (_, row) in sorted(found.items()))
