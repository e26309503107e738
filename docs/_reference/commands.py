"""Every command with its options, from the application that parses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from cyclopts import App
from cyclopts.argument import Argument
from docs._reference.markdown import code, said, table

from prunecheck.cli.app import build

EXAMPLE = "Example: "


def markdown() -> str:
    """All commands in the order of ``prunecheck --help``."""
    return "\n\n".join(_section(name, app) for name, app in commands(build()))


def commands(app: App, before: str = "prunecheck") -> Iterator[tuple[str, App]]:
    """``(full name, application)`` of every command; those of a group after the group."""
    for word in app:
        if word.startswith("-"):
            continue
        name, inner = f"{before} {word}", app[word]
        yield name, inner
        if inner.default_command is None:
            yield from commands(inner, name)


def _section(name: str, app: App) -> str:
    title = f"## `{name}`"
    paragraphs = [said(part, f"command {name!r}") for part in _prose(app.help).split("\n\n")]
    if app.default_command is None:
        return "\n\n".join([title, *paragraphs])
    prose = [part for part in paragraphs if not part.startswith(EXAMPLE)]
    examples = [f"```console\n{part.removeprefix(EXAMPLE)}\n```" for part in paragraphs if part not in prose]
    arguments = [a for a in app.assemble_argument_collection(parse_docstring=True) if a.show]
    return "\n\n".join([title, *prose, _usage(name, arguments), *_options(name, arguments), *examples])


def _usage(name: str, arguments: Sequence[Argument]) -> str:
    words = [name, *(_word(a) for a in arguments if _is_positional(a))]
    options = [] if all(_is_positional(a) for a in arguments) else ["[OPTIONS]"]
    return f"```text\n{' '.join([*words, *options])}\n```"


def _options(name: str, arguments: Sequence[Argument]) -> list[str]:
    """A table with a row an argument, unless there is none."""
    rows = [_row(name, argument) for argument in arguments]
    if any(default for *_, default in rows):
        return [table(("", "", "default"), rows)]
    return [table(("", ""), [row[:2] for row in rows])] if rows else []


def _prose(docstring: str) -> str:
    """A numpydoc docstring up to its list of parameters."""
    return docstring.partition("Parameters\n")[0].strip()


def _row(command: str, argument: Argument) -> tuple[str, str, str]:
    name = argument.names[0]
    words = said(argument.parameter.help, f"{command} {name}")
    if _is_positional(argument):
        return code(_word(argument)), words, "" if argument.required else code(argument.field_info.default)
    value = _value(argument.hint)
    shown = ", ".join(code(" ".join([word, value]).strip()) for word in argument.names)
    return shown, words, "required" if argument.required else _default(argument.field_info.default)


def _word(argument: Argument) -> str:
    """How a positional argument stands in a usage line."""
    word = argument.names[0].removeprefix("--").upper().replace("-", "_")
    many = "..." if get_origin(argument.hint) is tuple else ""
    return f"{word}{many}" if argument.required else f"[{word}]"


def _is_positional(argument: Argument) -> bool:
    return argument.field_info.kind in (
        argument.field_info.POSITIONAL_ONLY,
        argument.field_info.POSITIONAL_OR_KEYWORD,
    )


def _value(hint: Any) -> str:
    """What stands after an option: nothing after a flag."""
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind not in (type(None), ...)]
    if kinds == [bool]:
        return ""
    if get_origin(hint) is not None and all(isinstance(kind, str) for kind in kinds):
        return "|".join(kinds)
    return {int: "NUMBER", float: "NUMBER", str: "TEXT"}.get(kinds[0], getattr(kinds[0], "__name__", "VALUE").upper())


def _default(value: object) -> str:
    return "" if value in (None, False, (), "") else code(value)
