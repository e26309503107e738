"""What a study comes to: its evidence, how it got there, and the forms a reader may want it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunecheck.report import Evidence
from prunecheck.run.engine import Failure
from prunecheck.study.plan import Plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study
from prunecheck.verdict import StudyVerdict


@dataclass
class Results:
    """A finished (or, where steps failed, as far as possible finished) study."""

    study: Study
    evidence: Evidence
    page: Path
    plan: Plan
    ran: list[Step] = field(default_factory=list)
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def verdict(self) -> StudyVerdict:
        return self.evidence.verdict

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """One mapping a trained network, as in ``results.csv``; accuracies are fractions."""
        return self.evidence.rows

    @property
    def trained(self) -> int:
        """Trainings run this time."""
        return sum(step.kind in ("pretrain", "train") for step in self.ran)

    @property
    def shared(self) -> int:
        """Trainings asked for by more than one arm, and done once."""
        return self.plan.trainings_requested - self.plan.trainings
