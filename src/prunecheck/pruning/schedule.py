"""When a method that trains with a changing mask updates it, and how much. Without torch, because plans use it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from prunecheck.errors import PluginError
from prunecheck.text import printable


@dataclass(frozen=True)
class Schedule:
    """Updates at steps 0, ``every``, 2 ``every``, … before the fraction ``until`` of all steps; each drops the fraction
    ``drop`` of every layer's kept weights, falling to 0 as a half cosine (``decay``), or constant.

    The defaults are those of RigL (Evci et al. 2020, section 3 and appendix): delta T = 100, T_end = 75 % of the
    training, alpha = 0.3, f(t) = alpha / 2 * (1 + cos(pi t / T_end)). Steps are counted from 0, as in the official code
    (google-research/rigl, sparse_optimizers_base.py), whose first update is at step 0.
    """

    every: int = 100
    until: float = 0.75
    drop: float = 0.3
    decay: str = "cosine"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Schedule:
        """The schedule among the *options* of a method. Raises PluginError for one that cannot be."""
        given = {field.name: options[field.name] for field in fields(cls) if field.name in options}
        schedule = cls(**given)
        if type(schedule.every) is not int or schedule.every < 1:
            raise PluginError(f"every = {printable(schedule.every)} must be a number of steps of at least 1.")
        for name in ("until", "drop"):
            value = given.get(name, 1)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
                raise PluginError(f"{name} = {printable(value)} must be a fraction in (0, 1].")
        if schedule.decay not in ("cosine", "constant"):
            raise PluginError(f"decay = {printable(schedule.decay)!r} must be 'cosine' or 'constant'.")
        return schedule

    def is_due(self, step: int, steps: int) -> bool:
        """Whether step *step* (0-based) of a training of *steps* steps updates the mask."""
        return step % self.every == 0 and step < self.until * steps

    def updates(self, steps: int) -> int:
        """How many steps of a training of *steps* steps update the mask."""
        return len(range(0, math.ceil(self.until * steps), self.every))

    def fraction(self, step: int, steps: int) -> float:
        """The fraction of a layer's kept weights that is dropped at a step which is due."""
        if self.decay == "constant":
            return self.drop
        return self.drop / 2 * (1 + math.cos(math.pi * step / (self.until * steps)))


SCHEDULE_OPTIONS: dict[str, Any] = asdict(Schedule())
"""option of every method that changes its mask during training -> default"""
