"""The time of a long training, known before its end: ``plan`` estimates by it while the training still runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prunecheck.store import Store, Timings
from prunecheck.study.step import Step
from prunecheck.training.loop import TrainingState

LONG_EPOCH = 5.0
"""seconds; where epochs are shorter, the time of the whole training is soon known"""

AfterEpoch = Callable[[TrainingState], None]


@dataclass
class EpochTimes:
    """Times the trainings of one process that belong together: several on a GPU, else one."""

    store: Store
    ends: list[float] = field(default_factory=list)
    """when epochs ended, of any training; the first epoch of each is not timed, since it loads and compiles"""
    recorded: bool = False

    def watching(self, step: Step, epochs: int, after_epoch: AfterEpoch) -> AfterEpoch:
        """*after_epoch* of the training of *step*, *epochs* in all, which also notes the time of its second epoch."""
        ended = 0

        def watched(state: TrainingState) -> None:
            nonlocal ended
            ended += 1
            now = time.monotonic()
            if ended == 1:
                self.ends.append(now)
            elif ended == 2 and not self.recorded:
                self.recorded = True
                self._record(step, epochs, now - self.ends[0])
            after_epoch(state)

        return watched

    def _record(self, step: Step, epochs: int, seconds: float) -> None:
        """*epochs*: of the whole step; *seconds*: of one epoch of all trainings that are done together."""
        timings, share = Timings(self.store), seconds / len(self.ends)
        if share >= LONG_EPOCH and timings.typical(step.cost_class) is None:
            timings.record(step.cost_class, share * epochs / step.cost_units, step.key)
