"""Data files of the package: study files, published accuracies, and two small data sets (``data/README.md``).

The shipped studies are the experiments of Su et al. 2020 and of its author response, each at the published scale and,
under a name that ends in ``-cpu``, at a scale for two CPU cores.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from prunecheck.errors import DataError, StudyError
from prunecheck.text import unknown

FOLDER = Path(__file__).parent

Certainty = Literal["official code", "inferred", "reproduction", "recalled"]

CERTAINTIES: dict[Certainty, str] = {
    "official code": "read from the authors' code or its output",
    "inferred": "worked out from what a reproduction prints of it, not read from the publication",
    "reproduction": "measured by an independent reproduction and read from its logs or tables",
    "recalled": "written down from memory and not checked against the publication: do not quote",
}
"""certainty -> meaning, from certain to uncertain"""


def data_file(name: str) -> Path:
    """The file *name* of ``resources/data``. Raises DataError where the installation lacks it."""
    path = FOLDER / "data" / name
    if not path.is_file():
        raise DataError(f"{path} is missing from the installation. Reinstall prunecheck.")
    return path


def study_names() -> tuple[str, ...]:
    """The names of the shipped studies, sorted: those of their files without ``.toml``."""
    return tuple(sorted(path.stem for path in (FOLDER / "studies").glob("*.toml")))


def study_path(name: str) -> Path:
    """The file of the shipped study *name*. Raises StudyError with the nearest right name."""
    if name not in study_names():
        raise StudyError(unknown("shipped study", name, study_names()))
    return FOLDER / "studies" / f"{name}.toml"


def study_text(name: str) -> str:
    """The text of the shipped study *name*. Raises StudyError with the nearest right name."""
    return study_path(name).read_text(encoding="utf-8")


def study_question(name: str) -> str:
    """The question that the shipped study *name* asks."""
    return str(tomllib.loads(study_text(name))["question"])


@dataclass(frozen=True)
class PublishedNumber:
    """One published test accuracy, a fraction in [0, 1].

    ``model``, ``data``, ``method``, ``check``: names of ours; ``check`` is ``clean`` for the intact arm. ``sparsity``
    is None for the dense network. ``setup``: how it was trained, in words.
    """

    model: str
    data: str
    method: str
    check: str
    sparsity: float | None
    accuracy: float
    source: str
    certainty: Certainty
    setup: str


def published_numbers(model: str, data: str) -> list[PublishedNumber]:
    """Every published number of *model* (its canonical name) on *data*; empty where none is known."""
    return [number for number in all_published_numbers() if (number.model, number.data) == (model, data)]


@cache
def all_published_numbers() -> tuple[PublishedNumber, ...]:
    """Every number of ``published/*.toml``, which hold percentages as they were printed."""
    paths = sorted((FOLDER / "published").glob("*.toml"))
    return tuple(number for path in paths for number in _rows(tomllib.loads(path.read_text(encoding="utf-8"))))


def _rows(document: dict[str, Any]) -> Iterator[PublishedNumber]:
    """A row of the file is a row of the printed table: one accuracy per sparsity, or one of the dense network."""
    for row in document["rows"]:
        sparsities = [None] if row["method"] == "dense" else row.get("sparsities", document["sparsities"])
        for sparsity, percent in zip(sparsities, row["accuracy"], strict=True):
            yield PublishedNumber(
                model=row["model"],
                data=row["data"],
                method=row["method"],
                check=row.get("check", "clean"),
                sparsity=sparsity,
                accuracy=round(percent / 100, 6),
                source=document["source"],
                certainty=row["certainty"],
                setup=row.get("setup", document["setup"]),
            )
