"""Reads the ``result.json`` of steps and checks what it says.

A manifest proves that the bytes are those that were committed, not that the step wrote them: an artefact from another
store may hold anything. What is read here becomes tables and verdicts, so types, ranges and the values that follow
from one another are checked. An accuracy that was made up consistently cannot be recognised.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prunecheck.errors import StoreError
from prunecheck.store import Damaged, Entry, Store
from prunecheck.study.step import Kind
from prunecheck.text import printable

TOLERANCE = 1e-9

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(ge=1, lt=2**53)]
Nats = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Record(BaseModel):
    # Fields that this version does not know are kept: a later one may write more.
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class _Epoch(_Record):
    epoch: Count
    train_loss: float | None
    train_accuracy: Fraction
    test_accuracy: Fraction


class _Training(_Record):
    accuracy: Fraction | None
    best_accuracy: Fraction | None
    train_accuracy: Fraction | None
    diverged: bool
    first_epoch: Count
    last_epoch: Count
    n_train: Annotated[int, Field(ge=1, lt=2**53)]
    n_test: Annotated[int, Field(ge=1, lt=2**53)]
    history: list[_Epoch]
    backend: Literal["dense", "sparse"] = "dense"
    backend_reason: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> _Training:
        accuracies = [epoch.test_accuracy for epoch in self.history]
        last = self.history[-1] if self.history else None
        _equal("accuracy", self.accuracy, last.test_accuracy if last else None)
        _equal("train_accuracy", self.train_accuracy, last.train_accuracy if last else None)
        _equal("best_accuracy", self.best_accuracy, max(accuracies, default=None))
        epochs = self.last_epoch - self.first_epoch
        if len(self.history) > epochs or (len(self.history) < epochs and not self.diverged):
            raise ValueError(f"history has {len(self.history)} epochs, and {epochs} were trained")
        for accuracy in accuracies:
            correct = accuracy * self.n_test
            if abs(correct - round(correct)) > 1e-6 * max(1.0, correct):
                raise ValueError(f"accuracy {accuracy!r} is no number of {self.n_test} test examples")
        return self


class _Mask(_Record):
    layers: list[tuple[str, str, list[Count], Count]]
    kept: Count
    weights: Annotated[int, Field(ge=1, lt=2**53)]
    empty_layers: list[str]
    effective_kept: Count | None
    dead_units: Count | None
    tied: Count | None = None
    patterns: dict[str, str | None] = {}
    saves: str = ""
    mask_epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        """JSON has lists only; strict validation wants the layers to be tuples."""
        if isinstance(value, dict) and isinstance(layers := value.get("layers"), list):
            return value | {"layers": [tuple(row) if isinstance(row, list) else row for row in layers]}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> _Mask:
        for name, _, shape, kept in self.layers:
            if kept > math.prod(shape):
                raise ValueError(f"layer {name} keeps {kept} of {math.prod(shape)} weights")
        _equal("kept", self.kept, sum(kept for *_, kept in self.layers))
        _equal("weights", self.weights, sum(math.prod(shape) for _, _, shape, _ in self.layers))
        if self.empty_layers != [name for name, *_, kept in self.layers if kept == 0]:
            raise ValueError("empty_layers are not the layers that keep nothing")
        if self.effective_kept is not None and self.effective_kept > self.kept:
            raise ValueError(f"effective_kept is {self.effective_kept}, and {self.kept} are kept")
        return self


class _Overlap(_Record):
    iou: Fraction
    chance_iou: Fraction
    counts_correlation: Annotated[float, Field(ge=-1 - TOLERANCE, le=1 + TOLERANCE)] | None
    kept_clean: Count
    kept_corrupted: Count
    moved: Count

    @model_validator(mode="after")
    def _consistent(self) -> _Overlap:
        both = self.kept_clean - self.moved
        if not 0 <= both <= self.kept_corrupted:
            raise ValueError(f"moved is {self.moved}, of {self.kept_clean} and {self.kept_corrupted} kept weights")
        either = self.kept_clean + self.kept_corrupted - both
        _equal("iou", self.iou, both / either if either else 1.0)
        return self


class _Evaluation(_Record):
    p_correct: Fraction
    brier: Annotated[float, Field(ge=-1, le=1)]
    n_test: Annotated[int, Field(ge=1, lt=2**53)]


class _Likelihood(_Record):
    documents: Annotated[list[tuple[str, Nats, Positive, Count | None, Count | None]], Field(min_length=1)]
    unigram: list[Nats] = []

    @model_validator(mode="before")
    @classmethod
    def _as_tuples(cls, value: Any) -> Any:
        """JSON has lists only."""
        if isinstance(value, dict) and isinstance(documents := value.get("documents"), list):
            return value | {"documents": [tuple(row) if isinstance(row, list) else row for row in documents]}
        return value

    @model_validator(mode="after")
    def _of_each(self) -> _Likelihood:
        if self.unigram and len(self.unigram) != len(self.documents):
            raise ValueError(f"unigram has {len(self.unigram)} entries for {len(self.documents)} documents")
        return self


class _Pruned(_Likelihood, _Mask):
    share_of_text: Fraction | None = None


_RECORDS: dict[str, type[_Record]] = {
    "pretrain": _Training,
    "train": _Training,
    "mask": _Mask,
    "compare": _Overlap,
    "evaluate": _Evaluation,
    "prune": _Pruned,
    "likelihood": _Likelihood,
}


class StepResults:
    """The results of finished steps, read once each.

    ``training``, ``mask``, ``overlap``, ``evaluation``, ``pruned`` and ``likelihood`` leave out what needs memory: of
    the epochs only the test accuracies are kept (``accuracies``), of the layers nothing. ``whole`` reads everything,
    every time. All raise Damaged for an artefact that holds something else than such a result; it is moved to
    quarantine.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._short = lru_cache(maxsize=None)(self._shortened)

    def training(self, key: str) -> dict[str, Any]:
        return self._short("train", key)

    def mask(self, key: str) -> dict[str, Any]:
        return self._short("mask", key)

    def overlap(self, key: str) -> dict[str, Any]:
        return self._short("compare", key)

    def evaluation(self, key: str) -> dict[str, Any]:
        return self._short("evaluate", key)

    def weights_entry(self, key: str) -> Entry:
        """Size and hash of a training's final weights."""
        return self._entry("train", key, "final.safetensors")

    def masks_entry(self, key: str) -> Entry:
        """Size and hash of the masks of a step."""
        return self._entry("mask", key, "masks.safetensors")

    def _entry(self, kind: Kind, key: str, name: str) -> Entry:
        entry = self.store.entries(key).get(name)
        if entry is None:
            raise self._refused(kind, key, f"it has no {name}")
        return entry

    def whole(self, kind: Kind, key: str) -> dict[str, Any]:
        """All of the result of a step of *kind*."""
        try:
            result = json.loads(self.store.read(key, "result.json"))
            if (record := _RECORDS.get(kind)) is not None:
                record.model_validate(result)
            elif not isinstance(result, dict):
                raise ValueError("it is no JSON object")
        except ValidationError as error:
            raise self._refused(kind, key, _problem(error)) from None
        except (ValueError, RecursionError) as error:
            raise self._refused(kind, key, str(error)) from None
        except StoreError as error:
            if isinstance(error, Damaged) or "result.json" in self.store.entries(key):
                raise
            raise self._refused(kind, key, "it has no result.json") from None
        checked: dict[str, Any] = result
        return checked

    def pruned(self, key: str) -> dict[str, Any]:
        return self._short("prune", key)

    def likelihood(self, key: str) -> dict[str, Any]:
        return self._short("likelihood", key)

    def _shortened(self, kind: Kind, key: str) -> dict[str, Any]:
        result = self.whole(kind, key)
        if kind == "train" and result["accuracy"] is None:
            raise self._refused(kind, key, "no epoch was trained")
        result.pop("layers", None)
        if "history" in result:
            result["accuracies"] = tuple(epoch["test_accuracy"] for epoch in result.pop("history"))
        return result

    def _refused(self, kind: Kind, key: str, reason: str) -> Damaged:
        return self.store.reject(key, f"it does not hold the result of a {kind} step: {printable(reason, 160)}")


def _problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    where = ".".join(map(str, problem["loc"]))
    return f"{where} {message}" if where else message


def _equal(name: str, found: float | None, expected: float | None) -> None:
    same = found is expected if found is None or expected is None else math.isclose(found, expected, rel_tol=TOLERANCE)
    if not same:
        raise ValueError(f"{name} is {found!r}, and its other entries give {expected!r}")
