"""The methods and checks of pruning without training, from their registries, and what a plug-in of them may ask for."""

from __future__ import annotations

from typing import Any

from docs._reference.markdown import code, said, table

from prunecheck.pruning.post_training_plugins import POST_TRAINING_CHECK_OFFERS, POST_TRAINING_METHOD_OFFERS
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS


def methods() -> str:
    """One row per method."""
    rows = [
        (code(one.name), said(one.summary, one.name), one.granularity, _options(one), said(one.paper or "-", one.name))
        for one in POST_TRAINING_METHODS
        if one.origin == "built-in"
    ]
    return table(("method", "", "granularity", "options", "paper"), rows)


def checks() -> str:
    """One row per check, in the order of the intervention points."""
    points = list(POST_TRAINING_CHECK_OFFERS)
    every = [one for one in POST_TRAINING_CHECKS if one.origin == "built-in"]
    rows = [
        (code(one.name), one.at, said(one.destroys, one.name), said(one.keeps, one.name), _options(one))
        for one in sorted(every, key=lambda one: points.index(one.at))
    ]
    return table(("check", "at", "destroys", "keeps", "options"), rows)


def offers() -> str:
    """What a method and a check may ask for."""
    rows = [(code(name), said(words, name)) for name, words in POST_TRAINING_METHOD_OFFERS.items()]
    of_checks = [
        (point, code(name), said(words, name))
        for point, offered in POST_TRAINING_CHECK_OFFERS.items()
        for name, words in offered.items()
    ]
    return "\n\n".join(
        [
            "### To a method",
            table(("parameter", "value"), rows),
            "### To a check",
            table(("at", "parameter", "value"), of_checks),
        ]
    )


def _options(plugin: Any) -> str:
    return ", ".join(code(f"{name} = {value}") for name, value in plugin.options.items())
