"""The names that shell completion offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prunecheck.resources import study_names, study_question


def methods(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.pruning import METHODS

    return ((plugin.name, plugin.summary) for plugin in METHODS)


def allocations(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.pruning import ALLOCATIONS

    return ((plugin.name, plugin.summary) for plugin in ALLOCATIONS)


def checks(context: Any) -> Iterator[tuple[str, str]]:
    """Checks, also after a comma."""
    from prunecheck.pruning import CHECKS

    before = context.incomplete.rpartition(",")
    return ((f"{before[0]}{before[1]}{plugin.name}", plugin.summary) for plugin in CHECKS)


def models(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.models import names, summary

    return ((name, summary(name)) for name in names())


def presets(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.pruning.presets import PRESETS

    return iter([*((preset.name, preset.source) for preset in PRESETS.values()), ("none", "without a preset")])


def templates(_: Any) -> Iterator[tuple[str, str]]:
    return ((name, study_question(name)) for name in study_names())
