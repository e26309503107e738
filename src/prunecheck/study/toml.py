"""Writes a study as TOML, resolved: it says what was run, whatever defaults change later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.study import Study


def to_toml(study: Study) -> str:
    """The study with its recipe spelled out, readable by :func:`prunecheck.study.load_study`."""
    fields = study.model_dump(mode="json", exclude_none=True)
    recipe = study.recipe.to_dict() | {"recipe": study.training.recipe}
    fields["training"] = {name: value for name, value in recipe.items() if value is not None}
    fields["methods"] = [_short(choice) for choice in fields["methods"]]
    fields["checks"] = [_short(choice) for choice in fields["checks"]]
    return tomli_w.dumps(fields)


def language_toml(study: LanguageStudy) -> str:
    """The same of a study of a language model."""
    fields = study.model_dump(mode="json", exclude_none=True)
    fields["methods"] = [_short(choice) for choice in fields["methods"]]
    fields["checks"] = [_short(choice) for choice in fields["checks"]]
    return tomli_w.dumps(fields)


def _short(choice: Mapping[str, Any]) -> Any:
    """A choice without options is its name."""
    rest = {k: v for k, v in choice.items() if v not in ("", None, {})}
    return rest["name"] if set(rest) == {"name"} else rest
