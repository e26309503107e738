"""Published accuracies as data, each with its source and with how certain it is that the source says so.

The TOML files of this room hold what was printed, in percent; nothing is computed from them but differences.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

Certainty = Literal["official code", "inferred", "reproduction", "recalled"]

CERTAINTIES: dict[Certainty, str] = {
    "official code": "read from the authors' code or its output",
    "inferred": "worked out from what a reproduction prints of it, not read from the publication",
    "reproduction": "measured by an independent reproduction and read from its logs or tables",
    "recalled": "written down from memory and not checked against the publication: do not quote",
}
"""certainty -> what it means; the order is from certain to uncertain"""


@dataclass(frozen=True)
class Number:
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


def numbers(model: str, data: str) -> list[Number]:
    """Every published number of *model* (its canonical name) on *data*; none where nothing is known."""
    return [number for number in _all() if (number.model, number.data) == (model, data)]


@cache
def _all() -> tuple[Number, ...]:
    files = sorted((f for f in resources.files(__name__).iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(number for file in files for number in _of(tomllib.loads(file.read_text(encoding="utf-8"))))


def _of(document: dict[str, Any]) -> Iterator[Number]:
    """A row of the file is a row of the printed table: one accuracy a sparsity, a single one for the dense network."""
    for row in document["rows"]:
        sparsities = [None] if row["method"] == "dense" else row.get("sparsities", document["sparsities"])
        for sparsity, percent in zip(sparsities, row["accuracy"], strict=True):
            yield Number(
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
