"""Completion for shells: the script that does it, and the names it offers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from prunecheck.cli.console import note
from prunecheck.errors import StudyError
from prunecheck.text import unknown

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


def completion(
    shell: Shell | None = None, *, install: Annotated[bool, Parameter(negative="", show_default=False)] = False
) -> None:
    """Print the script that completes commands, options, files and names in a shell.

    Try it in this shell with `source <(prunecheck completion bash)`; `prunecheck completion fish | source` in fish.

    Example: prunecheck completion bash --install

    Parameters
    ----------
    shell
        bash, zsh or fish (default: the one $SHELL names).
    install
        Write it into your home folder, where the shell finds it, in place of printing it; for bash and zsh a line is
        added to .bashrc or .zshrc too.
    """
    from prunecheck.cli.main import make_app

    app, chosen = make_app(), shell or _own_shell()
    if install:
        try:
            path = app.install_completion(shell=chosen)
        except OSError as error:
            raise StudyError(f"the script cannot be written: {error.strerror}: {error.filename}.") from None
        note(f"{path} written. Start a new shell to use it.")
    else:
        print(app.generate_completion(shell=chosen), end="")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    if name in SHELLS:
        return name
    asked = f"{unknown('shell this can complete for', name, SHELLS)} " if name else ""
    raise StudyError(f"{asked}Name one: prunecheck completion bash")


def methods(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.pruning import METHODS

    return ((plugin.name, plugin.summary) for plugin in METHODS)


def allocations(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.pruning import ALLOCATIONS

    return ((plugin.name, plugin.summary) for plugin in ALLOCATIONS)


def checks(context: Any) -> Iterator[tuple[str, str]]:
    """Also behind a comma."""
    from prunecheck.pruning import CHECKS

    before = context.incomplete.rpartition(",")
    return ((f"{before[0]}{before[1]}{plugin.name}", plugin.summary) for plugin in CHECKS)


def models(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck import models as room

    return ((name, room.summary(name)) for name in room.names())


def presets(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.pruning.presets import PRESETS

    return iter([*((preset.name, preset.source) for preset in PRESETS.values()), ("none", "without a preset")])


def templates(_: Any) -> Iterator[tuple[str, str]]:
    from prunecheck.resources import study_names, study_question

    return ((name, study_question(name)) for name in study_names())
