"""The shipped studies on a machine without their data: presence and shape are assumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck import data
from prunecheck.data import DataShape, DataSpec
from prunecheck.resources import study_names, study_text
from prunecheck.study import Study, load_study

SHAPES = {
    "cifar10": DataShape(10, 3, 32, 50_000, 10_000),
    "cifar100": DataShape(100, 3, 32, 50_000, 10_000),
    "tiny_imagenet": DataShape(200, 3, 64, 100_000, 10_000),
    "imagenet": DataShape(1000, 3, 224, 1_281_167, 50_000),
}
TWINS = [name for name in study_names() if name.endswith("-cpu")]
PUBLISHED = [name for name in study_names() if name not in ("demo", "template", *TWINS)]


def on_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that every data set is present in its published shape; the bundled ones are."""
    describe, check, fingerprint = data.describe, data.check, data.fingerprint
    monkeypatch.setattr(data, "describe", lambda spec: SHAPES.get(spec.name) or describe(spec))
    monkeypatch.setattr(data, "check", lambda spec: None if spec.name in SHAPES else check(spec))
    monkeypatch.setattr(data, "fingerprint", lambda spec: _fingerprint(spec) or fingerprint(spec))


def _fingerprint(spec: DataSpec) -> str:
    return f"of {spec.name}" if spec.name in SHAPES else ""


def shipped(name: str, folder: Path, *overrides: str) -> Study:
    """The study as a user gets it: written to a file, loaded from there."""
    path = folder / "study.toml"
    path.write_text(study_text(name), encoding="utf-8")
    return load_study(path, overrides)
