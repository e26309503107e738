"""The study: methods x checks x sparsities x seeds on a model and a data set. Its fields are the study file's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from prunecheck.data import DataSpec
from prunecheck.errors import DataError, StudyError
from prunecheck.statistics.margin import ENOUGH_DENSE
from prunecheck.statistics.margin_terms import ShareOfLead, ShareOfLoss, parse_margin
from prunecheck.text import parse_sparsity, printable
from prunecheck.training.recipe import RECIPES, Recipe, usual_recipe

MANY = 1_000_000_000
"""upper bound of sizes: larger than any data set, small enough to compute with and to print"""


def _sparsity(value: object) -> float:
    try:
        return parse_sparsity(value)
    except StudyError as error:  # pydantic locates a ValueError, and lets anything else through
        raise ValueError(str(error)) from None


def _margin_in_terms(text: str) -> float | str:
    """*text*, validated; a number where it is one."""
    term = parse_margin(text)
    if isinstance(term, ShareOfLead | ShareOfLoss):
        raise StudyError(
            f"margin {printable(text, 40)!r}: a study fixes its margin from the dense runs, before any ticket is "
            'trained, so that no lead or loss is known yet. Write points or "1 sd"; tables can have a share '
            "(prunecheck verdict --margin)."
        )
    return term if isinstance(term, float) else text


Sparsity = Annotated[float, BeforeValidator(_sparsity)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@=,:()-]{0,63}$")]


class Part(BaseModel):
    """Base of all parts of a study: unknown fields are errors, and a validated study is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


class Contents(Part):
    """What the whole data set holds, as published. A study can then be planned without the files, and is refused where
    the files hold something else."""

    classes: int = Field(ge=2, le=MANY)
    train: int = Field(ge=2, le=MANY)
    test: int = Field(ge=1, le=MANY)
    channels: int = Field(3, ge=1, le=4)


class DataChoice(Part):
    """``data = "cifar10"`` or a table. ``size``: side in pixels after area down-sampling.

    ``image``, ``label``: columns of a parquet table. ``stream``: decode images for each batch instead of holding all in
    memory; ``center_crop``: the share of the shorter side that evaluation then keeps.
    """

    name: str
    root: str | None = None
    size: int | None = Field(None, ge=4, le=1024)
    train_size: int | None = Field(None, ge=2, le=MANY)
    test_size: int | None = Field(None, ge=2, le=MANY)
    image: str | None = None
    label: str | None = None
    stream: bool | None = None
    center_crop: float | None = Field(None, gt=0, le=1)
    contents: Contents | None = None

    def spec(self) -> DataSpec:
        return DataSpec(**self.model_dump(exclude={"contents", "stream"}), stream=bool(self.stream))


class AllocateChoice(Part):
    """``"erk"`` or a table with the allocation's own options; ``method``: whose counts ``counts_of`` takes."""

    name: str
    method: str | None = None
    options: dict[str, Any] = {}


class MethodChoice(Part):
    """``"snip"`` or a table: a name, a label for the tables, and other choices than the method's own.

    ``rounds``: that many equal rounds; ``per_round``: remove this fraction of the remaining weights per round (0.2 in
    iterative magnitude pruning) until the sparsity is reached. ``epochs``: train the ticket longer (or shorter) than
    the study's recipe says, for comparisons at equal total compute. ``pattern``: instead of the study's; ``"none"`` for
    single weights.
    """

    name: str
    label: Name = ""
    allocate: AllocateChoice | None = None
    rewind: Literal["init", "epoch", "nothing"] | None = None
    rewind_epoch: int | None = Field(None, ge=0, le=100_000)
    retrain: Literal["full", "rest", "none"] | None = None
    rounds: int | None = Field(None, ge=1, le=100)
    per_round: float | None = Field(None, gt=0, lt=1, allow_inf_nan=False)
    epochs: int | None = Field(None, ge=1, le=100_000)
    pattern: str | None = None
    options: dict[str, Any] = {}

    @field_validator("allocate", mode="before")
    @classmethod
    def _allocation(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class CheckChoice(Part):
    """``"random_labels"`` or a table with the check's own options. ``dose``: corrupt only this fraction (of the
    samples, the weights, the kept positions)."""

    name: str
    label: Name = ""
    dose: float | None = Field(None, gt=0, lt=1, allow_inf_nan=False)
    options: dict[str, Any] = {}


class TrainingChoice(Part):
    """A named recipe and the fields that differ from it."""

    recipe: str | None = None
    epochs: int | None = Field(None, ge=1, le=100_000)
    batch_size: int | None = Field(None, ge=2, le=MANY)
    lr: float | None = Field(None, gt=0, allow_inf_nan=False)
    schedule: Literal["step", "linear", "triangular"] | None = None
    drops: tuple[float, ...] | None = None
    gamma: float | None = Field(None, gt=0, le=1)
    warmup: float | None = Field(None, ge=0, allow_inf_nan=False)
    momentum: float | None = Field(None, ge=0, lt=1)
    nesterov: bool | None = None
    weight_decay: float | None = Field(None, ge=0, allow_inf_nan=False)
    pad: int | None = Field(None, ge=0, le=64)
    flip: bool | Literal["alternating"] | None = None
    rewind_epoch: int | None = Field(None, ge=0, le=100_000)
    peak: float | None = Field(None, ge=0, le=1)
    lr_start: float | None = Field(None, ge=0, le=1)
    lr_end: float | None = Field(None, ge=0, le=1)
    label_smoothing: float | None = Field(None, ge=0, lt=1)
    crop: Literal["padded", "resized"] | None = None
    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] | None = None

    @field_validator("drops", "scale", "ratio", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    def recipe_for(self, data: str) -> Recipe:
        """The named recipe (or the data set's usual one) with this study's changes; when only ``epochs`` changes, the
        rewind epoch keeps its share of the schedule."""
        base = RECIPES[self.recipe or usual_recipe(data)]
        changes = {k: v for k, v in self.model_dump(exclude={"recipe"}).items() if v is not None}
        if "epochs" in changes and "rewind_epoch" not in changes:
            changes["rewind_epoch"] = round(base.rewind_epoch * changes["epochs"] / base.epochs)
        return replace(base, **changes)


class ScoringChoice(Part):
    """How much data a method scores on: ``batches`` draws of ``samples_per_class`` images of every class, or of as many
    ``classes``, drawn anew for every batch."""

    samples_per_class: int = Field(10, ge=1, le=MANY)
    batches: int = Field(1, ge=1, le=MANY)
    classes: int | None = Field(None, ge=1, le=MANY)


Control = Literal["identity", "aa", "positive", "planted"]
Backend = Literal["auto", "dense", "sparse"]
Precision = Literal["float32", "bfloat16", "tf32"]
Metric = Literal["accuracy", "p_correct", "brier"]
AlsoPrune = Literal["attention", "recurrent"]


class StudyFields(Part):
    """What the studies of all tasks validate alike: short forms of fields, seeds, and that no value stands twice."""

    _SEEDS: ClassVar[str] = "or be a list of seeds"
    _PAIR: ClassVar[str]
    """a pair of methods, as an example in a message"""

    @field_validator("sparsities", "plugins", "controls", "seeds", "also_prune", mode="before", check_fields=False)
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("methods", "checks", mode="before", check_fields=False)
    @classmethod
    def _named(cls, value: object) -> object:
        """A bare name is short for a table with that name."""
        if not isinstance(value, (list, tuple)):
            return value
        return tuple({"name": choice} if isinstance(choice, str) else choice for choice in value)

    @field_validator("compare", mode="before", check_fields=False)
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return value
        for pair in value:
            if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and pair[0] != pair[1]):
                raise ValueError(f"compare holds pairs of two different methods, such as {cls._PAIR}.")
        return tuple(tuple(pair) for pair in value)

    @field_validator("seeds", check_fields=False)
    @classmethod
    def _sensible_seeds(cls, value: int | tuple[int, ...] | str) -> int | tuple[int, ...] | str:
        if isinstance(value, int) and not 1 <= value <= 1000:
            raise ValueError(f"seeds must lie between 1 and 1000, {cls._SEEDS}.")
        if isinstance(value, tuple):
            if not value:
                raise ValueError("seeds is empty: give at least one.")
            if not all(0 <= seed < 2**63 for seed in value):
                raise ValueError("seeds must be whole numbers from 0 to 2^63 - 1.")
        return value

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        for field in ("sparsities", "seeds", "controls", "also_prune", "compare"):
            values = getattr(self, field, None)
            listed = values if isinstance(values, tuple) else ()
            twice = [v for i, v in enumerate(listed) if v in listed[:i]]
            if twice:
                raise ValueError(f"{field}: duplicate value {twice[0]!r}.")
        return self


class Study(StudyFields):
    """All fields of a study, validated one by one. Build it from a file with ``load_study``."""

    _SEEDS = 'be a list of seeds, or "auto"'
    _PAIR = '[["snip", "random_ticket"]]'
    name: Name = "study"
    question: str = ""
    model: str
    data: DataChoice
    methods: tuple[MethodChoice, ...] = Field(min_length=1)
    checks: tuple[CheckChoice, ...] = Field(min_length=1)
    sparsities: tuple[Sparsity, ...] = Field(min_length=1)
    seeds: int | tuple[int, ...] | Literal["auto"] = 3
    max_seeds: int = Field(10, ge=3, le=1000)
    compare: tuple[tuple[str, str], ...] | None = None
    """pairs of methods whose tickets are compared, clean arm with clean arm; left out, every method under test with
    ``random_ticket`` where that takes part"""
    margin: Annotated[float, Field(gt=0, le=100)] | str | None = None
    """points, or standard deviations of the dense runs between seeds, such as ``"1 sd"``; left out, by rule"""
    metric: Metric = "accuracy"
    """what verdicts compare: ``accuracy``, or the less noisy ``p_correct`` (mean probability of the right class) or
    ``brier``, fixed before anything is trained"""
    controls: tuple[Control, ...] = ("identity", "aa")
    also_prune: tuple[AlsoPrune, ...] = ()
    """prunable weights beside those of convolutions and linear layers"""
    preset: str | None = None
    pattern: str | None = None
    """the structured pattern of every mask, such as ``"2:4"`` or ``"filters"``; left out, single weights are pruned"""
    task: str = "classification"
    training: TrainingChoice = TrainingChoice()
    scoring: ScoringChoice = ScoringChoice()
    plugins: tuple[str, ...] = ()
    device: str = "cpu"
    backend: Backend = "auto"
    """how a CPU trains tickets: ``sparse`` computes with kept weights only, ``auto`` does so where that is faster"""
    precision: Precision = "float32"
    """``bfloat16``: convolutions and linear layers in bfloat16, weights and optimiser in float32; ``tf32``: in the
    shortened float32 of a GPU; left out, ``float32``, on a GPU ``bfloat16``"""
    tickets_per_gpu: int | None = Field(None, ge=1, le=64)
    """how many trainings a GPU does at a time, which changes no result; left out, by a short probe"""
    processes_per_training: int = Field(1, ge=1, le=64)
    """how many processes of one machine, on GPUs each with one, do every training together, each a part of every batch;
    part of the key, since sums are taken in another order"""
    sync_batch_norm: bool | None = None
    """with several processes: batch normalisation over whole batches, not over each process's part; by default true"""
    loader_threads: int | None = Field(None, ge=1, le=256)
    """how many threads of a process decode streamed images, which changes no result; left out, one a core"""
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)
    """what relative paths of the study file are relative to"""
    file: SkipJsonSchema[str] = Field(default="", exclude=True)
    """name of the study file in ``folder``; empty for a study from Python"""

    @field_validator("margin", mode="before")
    @classmethod
    def _margin(cls, value: object) -> object:
        """A margin as text is one in standard deviations between seeds: the dense runs, trained first, give it."""
        if not isinstance(value, str):
            return value
        try:
            return _margin_in_terms(value)
        except StudyError as error:
            raise ValueError(str(error)) from None

    @field_validator("data", mode="before")
    @classmethod
    def _data(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _usual_precision(cls, fields: object) -> object:
        """What is fastest on a GPU and on most CPUs, where the study names none."""
        on_gpu = isinstance(fields, dict) and str(fields.get("device", "")).startswith("cuda")
        return {"precision": "bfloat16", **fields} if on_gpu else fields  # type: ignore[dict-item]

    @model_validator(mode="after")
    def _enough_dense_runs(self) -> Study:
        if isinstance(self.margin, str) and len(self.first_seeds()) < ENOUGH_DENSE:
            raise ValueError(
                f"margin {self.margin!r} is estimated from the dense runs, one for each seed, and needs at least "
                f"{ENOUGH_DENSE} seeds."
            )
        return self

    @property
    def recipe(self) -> Recipe:
        return self.training.recipe_for(self.data.name)

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        return tuple((self.folder / plugin).resolve() for plugin in self.plugins)

    def first_seeds(self) -> tuple[int, ...]:
        """The seeds every arm starts with: all of them, or those of the first interim analysis of an adaptive study."""
        if isinstance(self.seeds, tuple):
            return self.seeds
        return tuple(range(3 if self.seeds == "auto" else self.seeds))


def located(study: Study) -> DataSpec:
    """The study's data with its root relative to the study file. Raises DataError if the user in ``~user`` does not
    exist."""
    spec = study.data.spec()
    if not spec.root:
        return spec
    try:
        root = Path(spec.root).expanduser()
    except RuntimeError:
        raise DataError(f"data.root = {printable(spec.root)!r}: there is no such user.") from None
    return replace(spec, root=str(study.folder / root))
