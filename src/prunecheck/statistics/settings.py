"""What a study decides before it sees results: design, error rate, interim analyses, margin, family and controls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from prunecheck.errors import StudyError
from prunecheck.statistics.rows import METRICS, Metric, unit_name
from prunecheck.text import unknown

MIN_SEEDS = 3
"""Two pairs give one degree of freedom for the noise: too few to test anything."""
AA_ALPHA = 0.01
"""Two-sided error rate of the test that arms which are equal by construction are equal, for each of them."""


@dataclass(frozen=True)
class Settings:
    """The decisions of a study that its statistics rest on. Raises StudyError where they contradict each other.

    ``alpha``: error rate on each side of the margin, over all interim analyses together.
    ``design``: "fixed": the number of seeds was chosen beforehand, and one test spends the whole of ``alpha``;
    "sequential": seeds were added depending on results, and ``alpha`` is spread over the interim analyses.
    ``looks``: the numbers of seeds at which a sequential study is analysed, strictly increasing, each from 3 to
    ``max_seeds``; empty = at every number of seeds from 3 to ``max_seeds``.
    ``margin``: points of the metric, None = by rule. ``margin_rule``: the sentence of the rule that gave ``margin``,
    empty where it was chosen by the user. ``margin_was``: the margin that was fixed first, where it was changed after
    results had been seen.
    ``compare``: pairs of methods whose clean arms are compared; None = every method under test against the random
    ticket, where both are there.
    ``metric``: what is compared, chosen before any result was seen; the margin is in points of it.
    ``chance``: accuracy of always guessing the commonest class, a fraction. ``required_checks``: None = all that were
    run, but controls. ``cap_d0``: largest weight of the other cells in a moderated variance, in degrees of freedom.
    """

    alpha: float = 0.05
    design: Literal["fixed", "sequential"] = "fixed"
    looks: tuple[int, ...] = ()
    max_seeds: int = 10
    margin: float | None = None
    margin_was: float | None = None
    margin_rule: str = ""
    family: Literal["method", "study"] = "method"
    required_checks: tuple[str, ...] | None = None
    positive_control: str | None = "lr_rewinding"
    compare: tuple[tuple[str, str], ...] | None = None
    metric: Metric = "accuracy"
    chance: float = 0.0
    cap_d0: float = 4.0

    @property
    def margin_by_hand(self) -> bool:
        """Whether the user chose the margin in points, so that it follows from no rule."""
        return self.margin is not None and not self.margin_rule

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise StudyError(f"alpha {self.alpha:g} is outside (0, 0.5): it is the error rate per side, usually 0.05.")
        if self.design not in ("fixed", "sequential"):
            raise StudyError(f"design: {unknown('design', str(self.design), ('fixed', 'sequential'))}")
        if self.max_seeds < 1:
            raise StudyError(f"max_seeds {self.max_seeds} must be at least 1.")
        self._validate_looks()
        if self.margin is not None and not 0 < self.margin < 100:
            raise StudyError(
                f"margin {self.margin:g} must be above 0 and below 100: {unit_name(self.metric)}, such as 0.5."
            )
        if self.family not in ("method", "study"):
            raise StudyError(f"family: {unknown('family of verdicts', str(self.family), ('method', 'study'))}")
        for pair in self.compare or ():
            if len(pair) != 2 or pair[0] == pair[1]:
                raise StudyError(f"compare {list(pair)}: a comparison names two different methods.")
        if self.metric not in METRICS:
            raise StudyError(f"metric: {unknown('metric', str(self.metric), METRICS)}")
        if not 0 <= self.chance < 1:
            raise StudyError(f"chance {self.chance:g} is a fraction in [0, 1), such as 0.1 for ten equal classes.")
        if math.isnan(self.cap_d0) or self.cap_d0 < 0:
            raise StudyError(f"cap_d0 {self.cap_d0:g} must be 0 (no moderated variance) or more.")

    def _validate_looks(self) -> None:
        if self.design == "fixed":
            if self.looks:
                raise StudyError(f"looks {self.looks}: a fixed design is analysed once. Leave looks out.")
            return
        if list(self.looks) != sorted(set(self.looks)):
            raise StudyError(f"looks {self.looks} must be increasing numbers of seeds, such as (3, 5, 7, 10).")
        if self.looks and self.looks[0] < MIN_SEEDS:
            raise StudyError(f"looks {self.looks}: an analysis needs at least {MIN_SEEDS} seeds.")
        if self.looks and self.looks[-1] > self.max_seeds:
            raise StudyError(f"looks {self.looks} go beyond max_seeds {self.max_seeds}: end them there, or raise it.")
        if self.max_seeds < MIN_SEEDS:
            raise StudyError(f"max_seeds {self.max_seeds}: a sequential study needs at least {MIN_SEEDS} seeds.")


def interim_analyses(settings: Settings) -> tuple[int, ...]:
    """The numbers of seeds at which a sequential study is analysed, the last one included."""
    return settings.looks or tuple(range(MIN_SEEDS, settings.max_seeds + 1))


def next_look(n: int, settings: Settings) -> int | None:
    """The number of seeds of the next interim analysis when *n* seeds are there; None after the last one.

    A fixed design has one analysis, at ``max_seeds``.
    """
    if settings.design == "fixed":
        return settings.max_seeds if n < settings.max_seeds else None
    return next((look for look in interim_analyses(settings) if look > n), None)
