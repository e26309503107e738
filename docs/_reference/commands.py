"""Every command with its options, as cyclopts documents the application that parses them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cyclopts import App
from docs._reference.markdown import said

from prunecheck.cli.app import build


def markdown() -> str:
    """All commands in the order of ``prunecheck --help``. Raises Undocumented for a command or option without words."""
    app = build()
    for name, command in commands(app):
        said(command.help.partition("Parameters\n")[0], f"command {name!r}")
        if command.default_command is not None:
            for argument in command.assemble_argument_collection(parse_docstring=True):
                if argument.show:
                    said(argument.parameter.help, f"{name} {argument.names[0]}")
    text = app.generate_docs(output_format="markdown", heading_level=1)
    return re.sub(r"(?<!`)``(?!`)", "`", text[text.index("\n## prunecheck ") :].strip())


def commands(app: App, before: str = "prunecheck") -> Iterator[tuple[str, App]]:
    """``(full name, application)`` of every command; those of a group after the group."""
    for word in app:
        if word.startswith("-"):
            continue
        name, inner = f"{before} {word}", app[word]
        yield name, inner
        if inner.default_command is None:
            yield from commands(inner, name)
