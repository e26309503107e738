"""Small studies to change one thing in."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from prunecheck.study import Plan, load_study, make_plan

BASE: dict[str, Any] = {
    "model": "convnet",
    "data": "digits",
    "methods": ["snip", "lr_rewinding"],
    "checks": ["random_labels", "layerwise_rearrange"],
    "sparsities": [0.9],
    "seeds": 2,
    "controls": [],
}
BASE_TOML = """\
model = "convnet"
data = "digits"
methods = ["snip", "lr_rewinding"]
checks = ["random_labels", "layerwise_rearrange"]
sparsities = [0.9]
seeds = 2
controls = []
"""


def study_text(lines: str) -> str:
    """The base study with *lines* in place of the base's lines for the same fields; tables go to the end."""
    here, bracket, tables = lines.partition("[") if lines.startswith("[") else _split_tables(lines)
    changed = {line.partition("=")[0].strip() for line in here.splitlines()}
    kept = [line for line in BASE_TOML.splitlines() if line.partition("=")[0].strip() not in changed]
    return "\n".join([*kept, here, bracket + tables]) + "\n"


def _split_tables(lines: str) -> tuple[str, str, str]:
    here, bracket, tables = lines.partition("\n[")
    return here, bracket, tables


def write(folder: Path, text: str, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def plan(**changes: Any) -> Plan:
    """The plan of the base study with these fields changed."""
    return make_plan(load_study({**BASE, **changes}))


def fields_of(text: str) -> dict[str, Any]:
    return tomllib.loads(text)
