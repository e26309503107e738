"""What published codes do differently, field by field."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from prunecheck.cli import completers
from prunecheck.cli.console import print_columns, print_json

Preset = Annotated[str, Parameter(completer=completers.presets)]

app = App(
    name="presets", help="Show and compare how published codes count, break ties and score.", group_commands="Commands"
)


@app.command
def show(name: Preset, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Print every choice of one preset.

    Example: prunecheck presets show official

    Parameters
    ----------
    name
        A name from `prunecheck list presets`, or `none` for prunecheck without one.
    json
        Print one JSON document instead.
    """
    from prunecheck.pruning.presets import facts_in_brief

    table = facts_in_brief(name)
    if json:
        print_json({"schema_version": 1, "preset": name, "choices": table})
    else:
        print_columns(list(table.items()))


@app.command
def diff(first: Preset, second: Preset, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Print the choices in which two presets differ.

    Example: prunecheck presets diff official none

    Parameters
    ----------
    first
        A name from `prunecheck list presets`, or `none` for prunecheck without one.
    second
        Another one.
    json
        Print one JSON document instead.
    """
    from prunecheck.pruning.presets import difference

    rows = difference(first, second)
    if json:
        fields = [{"choice": choice, "first": one, "second": other} for choice, one, other in rows]
        print_json({"schema_version": 1, "first": first, "second": second, "different": fields})
    elif rows:
        print_columns([("", first, second), *rows])
    else:
        print(f"{first} and {second} make the same choices")
