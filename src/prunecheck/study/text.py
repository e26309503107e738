"""A study as TOML again: resolved, so that it says what was run whatever defaults change later."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from prunecheck.study.study import Study

_BARE = re.compile("[A-Za-z0-9_-]+")


def to_toml(study: Study) -> str:
    """The study with its recipe spelled out, readable by :func:`prunecheck.study.load_study`."""
    fields = study.model_dump(mode="json", exclude_none=True)
    fields["training"] = study.recipe.to_dict() | {"recipe": study.training.recipe}
    fields["methods"] = [_short(choice) for choice in fields["methods"]]
    fields["checks"] = [_short(choice) for choice in fields["checks"]]
    tables = {name: value for name, value in fields.items() if isinstance(value, Mapping)}
    lines = [f"{name} = {_value(value)}" for name, value in fields.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{k} = {_value(v)}" for k, v in table.items() if v is not None)]
    return "\n".join(lines) + "\n"


def _short(choice: Mapping[str, Any]) -> Any:
    """A choice without options is its name."""
    rest = {k: v for k, v in choice.items() if v not in ("", None, {})}
    return rest["name"] if set(rest) == {"name"} else rest


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML escapes DEL, JSON does not


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)
