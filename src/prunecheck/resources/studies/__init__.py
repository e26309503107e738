"""Study files that travel with the package: the experiments of Su et al. 2020 and of its author response, each at the
published scale and, under a name that ends in ``-cpu``, at one for two CPU cores."""

from __future__ import annotations

import tomllib
from importlib import resources

from prunecheck.errors import StudyError
from prunecheck.text import unknown


def names() -> tuple[str, ...]:
    """The names of the shipped studies, sorted: those of their files without ``.toml``."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def text(name: str) -> str:
    """The study file *name*. Raises StudyError with the nearest right name."""
    if name not in names():
        raise StudyError(unknown("shipped study", name, names()))
    return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def question(name: str) -> str:
    """What the study *name* asks."""
    return str(tomllib.loads(text(name))["question"])
