"""Functions and classes of Python: signature, docstring, and the fields of a class."""

from __future__ import annotations

import inspect
import pydoc
import re
from dataclasses import fields, is_dataclass
from typing import Any

from docs._reference.markdown import Undocumented, said
from sphinx.pycode import ModuleAnalyzer

WIDTH = 100


def markdown(*names: str) -> str:
    """A section for each dotted name; a member follows its class. Raises Undocumented for one without a docstring."""
    return "\n\n".join(_section(name) for name in names)


def _section(name: str) -> str:
    before, _, short = name.rpartition(".")
    owner = pydoc.locate(before)
    thing = getattr(owner, short, None)
    if thing is None:
        raise Undocumented(f"{name} does not exist.")
    if inspect.isclass(thing):
        return "\n\n".join([f"### `{short}`", _prose(thing, name), *_fields(thing)])
    heading = f"#### `{owner.__name__}.{short}`" if inspect.isclass(owner) else f"### `{short}`"
    if isinstance(thing, property):
        returned = inspect.signature(thing.fget).return_annotation  # type: ignore[arg-type]
        return "\n\n".join([heading, f"`{returned}`", *([_prose(thing, name)] if thing.__doc__ else [])])
    return f"{heading}\n\n```python no-run\n{_signature(short, thing)}\n```\n\n{_prose(thing, name)}"


def _prose(thing: Any, name: str) -> str:
    text = inspect.getdoc(thing) or ""
    said(text, name)
    return text.replace("``", "`")


def _signature(name: str, function: Any) -> str:
    """On one line where it fits, else one parameter on each; without ``self``."""
    found = inspect.signature(function)
    parameters = [p for p in found.parameters.values() if p.name != "self"]
    lines, starred = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            lines.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        lines.append(re.sub(r": '([^']*)'", r": \1", str(parameter)))
    returned = "" if found.return_annotation is found.empty else f" -> {found.return_annotation}"
    line = f"{name}({', '.join(lines)}){returned}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in lines), f"){returned}"])


def _fields(kind: type) -> list[str]:
    """A list of the fields of a dataclass, each with the text below it in the source."""
    if not is_dataclass(kind):
        return []
    words = ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
    lines = []
    for field in fields(kind):
        if not field.name.startswith("_"):
            text = " ".join(words.get((kind.__name__, field.name), [])).replace("``", "`").strip()
            lines.append(f"- `{field.name}: {field.type}`{f': {text}' if text else ''}")
    return ["\n".join(lines)]
