"""What a study decides before it looks: error rate, looks, margin, family, controls. And when it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prunecheck.errors import StudyError
from prunecheck.text import unknown

MIN_SEEDS = 3
"""Below three pairs there is no spread to speak of: no look is taken."""


@dataclass(frozen=True)
class Settings:
    """The intention of a study, as far as the statistics are concerned. Raises StudyError where it contradicts itself.

    ``alpha``: error per side at the margin, over all looks together. ``looks``: numbers of seeds at which the study
    looks; ``spend``: the part of alpha each look may use (scaled to sum to alpha). The last look, at
    ``min(looks[-1], max_seeds)``, takes all that is left; one look alone takes it all. ``fixed_n``: one look at all
    the seeds there are, for studies whose number of seeds was settled beforehand. ``margin``: points, None = by rule;
    ``margin_rule``: the sentence of the rule that settled ``margin`` beforehand; empty where it was set by hand;
    ``margin_was``: the margin that was written down first, where somebody changed it after seeing results.
    ``chance``: accuracy of guessing the commonest class, a fraction. ``required_checks``: None = all but controls.
    """

    alpha: float = 0.05
    looks: tuple[int, ...] = (3, 5, 7, 10)
    spend: tuple[float, ...] = (0.004, 0.007, 0.012, 0.027)
    max_seeds: int = 10
    fixed_n: bool = False
    margin: float | None = None
    margin_was: float | None = None
    margin_rule: str = ""
    family: Literal["method", "study"] = "method"
    required_checks: tuple[str, ...] | None = None
    positive_control: str | None = "lr_rewinding"
    chance: float = 0.0
    cap_d0: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise StudyError(f"alpha {self.alpha:g} is outside (0, 0.5): it is the error rate per side, usually 0.05.")
        if not self.looks or list(self.looks) != sorted(set(self.looks)):
            raise StudyError(f"looks {self.looks} must be growing numbers of seeds, such as (3, 5, 7, 10).")
        if self.looks[0] < MIN_SEEDS:
            raise StudyError(f"looks {self.looks}: a look needs at least {MIN_SEEDS} seeds.")
        if len(self.looks) > 1 and len(self.spend) != len(self.looks):
            raise StudyError(f"{len(self.looks)} looks but {len(self.spend)} values in spend: give one for each look.")
        if len(self.looks) > 1 and not all(part > 0 for part in self.spend):
            raise StudyError(f"spend {self.spend}: every look needs a part of alpha above 0.")
        if self.max_seeds < 1:
            raise StudyError(f"max_seeds {self.max_seeds} must be at least 1.")
        if self.margin is not None and not 0 < self.margin < 100:
            raise StudyError(f"margin {self.margin:g} must be above 0: points of accuracy, such as 0.5.")
        if self.family not in ("method", "study"):
            raise StudyError(f"family: {unknown('family of verdicts', str(self.family), ('method', 'study'))}")
        if not 0 <= self.chance < 1:
            raise StudyError(f"chance {self.chance:g} is a fraction in [0, 1), such as 0.1 for ten equal classes.")
        if math.isnan(self.cap_d0) or self.cap_d0 < 0:
            raise StudyError(f"cap_d0 {self.cap_d0:g} must be 0 (borrow no variance) or more.")


class Look(NamedTuple):
    """Look when ``n`` seeds are there, and spend ``alpha`` on it."""

    n: int
    alpha: float


def schedule(settings: Settings) -> tuple[Look, ...]:
    """The looks of a study; their alphas sum to ``settings.alpha``.

    Spending alpha over looks: Lan and DeMets 1983; here by the union bound, so that no assumption about the
    dependence between looks is needed.
    """
    last = min(settings.looks[-1], settings.max_seeds)
    spent = 0.0
    looks = []
    for n, part in zip(settings.looks[:-1], settings.spend, strict=False):
        if n < last:
            looks.append(Look(n, settings.alpha * part / sum(settings.spend)))
            spent += looks[-1].alpha
    return (*looks, Look(last, settings.alpha - spent))


def next_look(n: int, settings: Settings) -> int | None:
    """The number of seeds at which to look next when *n* seeds are there; None after the last look."""
    if settings.fixed_n:
        return settings.max_seeds if n < settings.max_seeds else None
    return next((look.n for look in schedule(settings) if look.n > n), None)
