"""How help is laid out: paragraphs that flow, an example at the end of each, and what the exit codes mean."""

from __future__ import annotations

import inspect

from cyclopts import App

from prunecheck.core import errors


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


def exit_codes() -> str:
    """The sentence on exit codes, as it stands with the errors themselves."""
    sentence = (errors.__doc__ or "").partition("Exit codes:")[2].partition("\n\n")[0]
    return f"Exit codes: {' '.join(sentence.split())}"
