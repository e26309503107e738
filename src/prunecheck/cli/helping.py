"""How help is laid out: paragraphs that flow, an example at the end of each, and what the exit codes mean."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from cyclopts import App

from prunecheck import errors

if TYPE_CHECKING:
    from cyclopts.exceptions import CycloptsError


def flow_all(app: App) -> None:
    """Let the help of every command flow; as written, it breaks where the source breaks."""
    for word in app:
        if not word.startswith("-"):
            command = app[word]
            command.help = flowed(command.help)
            flow_all(command)


def flowed(docstring: str) -> str:
    """The prose of a numpydoc docstring, one line a paragraph; parameters are told elsewhere."""
    prose = inspect.cleandoc(docstring).partition("Parameters\n---")[0].strip()
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in prose.split("\n\n"))


def refusal(error: CycloptsError) -> str:
    """What was wrong with the words of a command; where one is missing, with an example."""
    from cyclopts.exceptions import MissingArgumentError

    argument, said = error.argument, str(error)
    is_missing = isinstance(error, MissingArgumentError) and error.keyword is None
    if not is_missing or argument is None or argument.tokens or "Did you mean" in said:
        return said
    name = argument.names[0]
    missing = name if argument.index is None else name.removeprefix("--").upper()
    example = (getattr(error.target, "__doc__", None) or "").partition("Example: ")[2].partition("\n")[0].strip()
    return f"{' '.join(error.command_chain or ())} needs {missing}. For example: {example}"


def exit_codes() -> str:
    """The sentence on exit codes, as it stands with the errors themselves."""
    sentence = (errors.__doc__ or "").partition("Exit codes:")[2].partition("\n\n")[0]
    return f"Exit codes: {' '.join(sentence.split())}"
