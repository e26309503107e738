"""A real study that runs in about a second: 8 x 8 digits, a small convnet, one epoch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from textwrap import dedent
from typing import Any

from prunecheck.runner.progress import Progress
from prunecheck.runner.results import Results
from prunecheck.runner.study_run import run_study
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Store
from prunecheck.study import Study, load_study

CONV = "convnet"


def fields(**changes: Any) -> dict[str, Any]:
    """The study as a mapping; *changes* replace whole fields."""
    usual: dict[str, Any] = {
        "name": "tiny",
        "model": CONV,
        "data": {"name": "digits", "train_size": 60, "test_size": 50},
        "methods": ["snip"],
        "checks": ["layerwise_rearrange"],
        "sparsities": [0.8],
        "seeds": 1,
        "controls": [],
        "training": {"epochs": 1, "rewind_epoch": 0, "batch_size": 30},
        "scoring": {"samples_per_class": 2},
    }
    return usual | changes


def study(**changes: Any) -> Study:
    return load_study(fields(**changes))


def place(folder: Path) -> Workspace:
    return Workspace(Store.open(folder / "store"), folder / "out")


def run(folder: Path, workers: int = 1, **changes: Any) -> Results:
    """Run the study with store and results under *folder*."""
    return run_study(study(**changes), place(folder), workers, Progress())


def objects(folder: Path) -> dict[str, str]:
    """Every file of every artefact: path inside the store -> SHA-256."""
    root = folder / "store" / "objects"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def plugin(folder: Path, text: str, name: str = "plug.py") -> str:
    """A plug-in file; returns its path as a study names it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return str(path)
