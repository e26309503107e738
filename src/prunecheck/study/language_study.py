"""The fields of a study of a language model: pruned without training, calibrated and evaluated on documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from prunecheck.models.language import ModelChoice
from prunecheck.study.study import MANY, CheckChoice, Name, Part, Sparsity, StudyFields

TASK = "language_model"
Granularity = Literal["row", "layer", "global"]
VocabularyLayer = Literal["embedding", "head"]
LanguageControl = Literal["aa", "positive"]
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%\s*of\s+(?:the\s+)?loss\s+of\s+magnitude", re.IGNORECASE)


@dataclass(frozen=True)
class LanguageFiles:
    """Where a study's model and texts are. ``texts``: fingerprint of documents -> (their path, field of a .jsonl line).
    Paths are no part of a key; what lies there is."""

    model: ModelChoice
    texts: Mapping[str, tuple[Path, str]]


class TextChoice(Part):
    """Documents to calibrate on and to evaluate on.

    ``calibration``, ``evaluation``: each a folder of .txt or .jsonl files, or one such file. ``field``: the key of a
    .jsonl line that holds the text. ``sequences`` of ``length`` tokens are drawn from the calibration documents.
    ``documents``: how many are evaluated, all for None; ``tokens``: at most so many of each, all for None;
    ``window``: the most tokens that one is predicted from, ``length`` for None.
    """

    calibration: str
    evaluation: str
    field: str = "text"
    sequences: int = Field(128, ge=1, le=MANY)
    length: int = Field(2048, ge=2, le=MANY)
    documents: int | None = Field(None, ge=2, le=MANY)
    tokens: int | None = Field(None, ge=2, le=MANY)
    window: int | None = Field(None, ge=2, le=MANY)


class RatiosChoice(Part):
    """``"owl"`` or a table with its options: how the sparsity is spread over the layers."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class PostTrainingChoice(Part):
    """``"wanda"`` or a table: a name, a label for the tables, and other choices than the study's.

    ``granularity``: the weights that compete with each other, the method's own for None; ``pattern``: such as
    ``"2:4"``, ``"none"`` for single weights; ``ratios``: how the sparsity is spread over the layers.
    """

    name: str
    label: Name = ""
    granularity: Granularity | None = None
    pattern: str | None = None
    ratios: RatiosChoice | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("ratios", mode="before")
    @classmethod
    def _ratios(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class LanguageStudy(StudyFields):
    """All fields of a study with ``task = "language_model"``. Build it from a file with ``load_study``."""

    _PAIR = '[["wanda", "magnitude"]]'
    task: Literal["language_model"]
    name: Name = "study"
    question: str = ""
    model: str
    weights: str | None = None
    blocks: str | None = None
    remote_code: bool = False
    also_prune: tuple[VocabularyLayer, ...] = ()
    """layers outside the decoder blocks that are pruned too"""
    data: TextChoice
    methods: tuple[PostTrainingChoice, ...] = Field(min_length=1)
    checks: tuple[CheckChoice, ...] = Field(min_length=1)
    sparsities: tuple[Sparsity, ...] = Field(min_length=1)
    seeds: int | tuple[int, ...] = 5
    """calibration draws"""
    margin: Annotated[float, Field(gt=0, le=100)] | str = "10% of loss of magnitude"
    """nats per token, or a share of what magnitude pruning loses against the dense model at the same sparsity"""
    compare: tuple[tuple[str, str], ...] | None = None
    controls: tuple[LanguageControl, ...] = ("aa", "positive")
    granularity: Granularity | None = None
    """the weights that compete with each other; left out, every method's own"""
    pattern: str | None = None
    ratios: RatiosChoice | None = None
    plugins: tuple[str, ...] = ()
    device: str = "cpu"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)
    file: SkipJsonSchema[str] = Field(default="", exclude=True)

    @field_validator("ratios", mode="before")
    @classmethod
    def _ratios(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("margin", mode="before")
    @classmethod
    def _margin(cls, value: object) -> object:
        if isinstance(value, str) and not _share(value):
            raise ValueError(
                f"margin {value[:40]!r}: write nats per token (0.05), or a share of what magnitude pruning loses "
                'against the dense model ("10% of loss of magnitude").'
            )
        return value

    @property
    def draws(self) -> tuple[int, ...]:
        """The calibration draws, by their seeds."""
        return self.seeds if isinstance(self.seeds, tuple) else tuple(range(self.seeds))

    @property
    def share_of_loss(self) -> float | None:
        """The margin as a fraction of what magnitude pruning loses; None where it is in nats."""
        return _share(self.margin) if isinstance(self.margin, str) else None

    @property
    def model_choice(self) -> ModelChoice:
        return ModelChoice(self.model, self.folder, self.weights, self.blocks, self.precision, self.remote_code)

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        return tuple((self.folder / plugin).resolve() for plugin in self.plugins)

    def place(self, text: str) -> Path:
        """Where a path of the study file leads."""
        return (self.folder / Path(text).expanduser()).resolve()


def _share(text: str) -> float | None:
    match = _SHARE.fullmatch(text.strip())
    fraction = float(match[1]) / 100 if match else 0.0
    return fraction if 0 < fraction <= 1 else None
