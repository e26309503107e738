"""A step of the plan: what is computed, from which inputs, and the key that follows from both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prunecheck.study.numerics import numerics

SCHEMA = 1
"""raised when the meaning of any artefact changes"""

Kind = Literal["pretrain", "score", "mask", "corrupt", "train", "compare", "evaluate", "prune", "likelihood"]
KINDS = {
    "pretrain": "pretrainings",
    "train": "trainings",
    "prune": "prunings",
    "likelihood": "dense evaluations",
    "score": "scores",
    "mask": "masks",
    "corrupt": "corruptions",
    "compare": "comparisons",
    "evaluate": "evaluations",
}
"""kind of step -> its plural; what takes long comes first"""


@dataclass(frozen=True, slots=True)
class Step:
    """``params``: plain JSON values. ``inputs``: role -> key of the step it comes from. ``title``, ``cost_class`` and
    ``cost_units`` (about how many images are processed) are for display and estimates; they are not part of the key.

    ``key``: sha256 of everything the artefact depends on, upstream keys and the machine's numerics included."""

    kind: Kind
    params: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    cost_class: str = ""
    cost_units: float = 1.0
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", hashlib.sha256(canonical(self.identity).encode()).hexdigest())

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "params": self.params,
            "inputs": self.inputs,
            "numerics": numerics(self.params.get("precision", "float32")),
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "params": dict(self.params),
            "inputs": dict(self.inputs),
            "title": self.title,
            "cost_class": self.cost_class,
            "cost_units": self.cost_units,
        }


_KIND_OF_TRAINING = ("model", "model_code", "data", "task", "recipe", "precision", "gpu")


def kind_of_training(step: Step) -> str:
    """Equal for trainings that a GPU can train at a time: of the same network, data, recipe and precision."""
    return canonical({name: step.params.get(name) for name in _KIND_OF_TRAINING})


def can_train_together(one: Step, other: Step) -> bool:
    """Whether both are trainings of one kind on a GPU."""
    return all(
        "gpu" in step.params and "processes" not in step.params and step.kind in ("pretrain", "train")
        for step in (one, other)
    ) and all(one.params.get(name) == other.params.get(name) for name in _KIND_OF_TRAINING)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN: equal values give equal text on every machine."""
    return _ENCODER.encode(value)
