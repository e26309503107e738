"""A plan performed step by step in this process, without workers, judges or reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from prunecheck.steps import Context, perform
from prunecheck.store import Store
from prunecheck.study import Arm, Plan, Step, make_plan
from tests.runner import tiny


@dataclass
class Lab:
    plan: Plan
    context: Context

    def step(self, key: str) -> Step:
        return self.plan.steps[key]

    def arm(self, method: str, check: str = "clean", seed: int = 0) -> Arm:
        (arm,) = [a for a in self.plan.arms if (a.method, a.check, a.seed) == (method, check, seed)]
        return arm

    def kinds(self, kind: str) -> list[Step]:
        return [step for step in self.plan.steps.values() if step.kind == kind]

    def perform(self) -> Lab:
        """Everything in the plan, inputs first."""
        for step in self.plan.steps.values():
            if not self.context.store.has(step.key):
                perform(step, self.context)
        return self

    def perform_inputs(self, step: Step) -> None:
        for key in step.inputs.values():
            self.perform_inputs(self.step(key))
            if not self.context.store.has(key):
                perform(self.step(key), self.context)

    def bytes(self, key: str, file: str = "final.safetensors") -> bytes:
        return self.context.store.read(key, file)

    def tree(self, key: str, file: str = "final") -> dict[str, Tensor]:
        return self.context.tree(key, file)

    def facts(self, key: str) -> dict[str, Any]:
        return self.context.result(key)


def lab(folder: Path, **changes: Any) -> Lab:
    return Lab(make_plan(tiny.study(**changes)), Context(Store.open(folder / "store")))
