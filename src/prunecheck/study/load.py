"""Reads study files: TOML to a validated study, with one message for the first error."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prunecheck.errors import StudyError
from prunecheck.paths import neighbour
from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.messages import explain, fields_at, not_a_field
from prunecheck.study.study import Study
from prunecheck.study.tasks import AnyStudy, fields_of, resolve
from prunecheck.text import printable, printable_path

MAX_BYTES = 50_000
"""A study is a page of text; tomllib takes minutes over a megabyte of dotted keys."""


def load_study(
    source: str | Path | Mapping[str, Any] | AnyStudy, overrides: Iterable[str] = (), *, allow_absent: bool = False
) -> AnyStudy:
    """The checked study of a TOML file, a mapping of the same fields, or a Study.

    ``overrides``: ``"training.epochs=5"`` strings, values in TOML, bare words taken as text. Loads the plug-in files
    the study names. ``allow_absent``: the data may be elsewhere if their numbers are known, which is enough for a plan.
    Raises StudyError (one to three lines) for everything that can be seen without torch.
    """
    if isinstance(source, (Study, LanguageStudy)):
        fields, where, folder = source.model_dump(exclude_defaults=True), "study", source.folder
        file = source.file
    elif isinstance(source, Mapping):
        fields, where, folder, file = dict(source), "study", Path.cwd(), ""
    else:
        path = Path(source)
        fields, where, folder, file = _read(path), printable(path.name), path.resolve().parent, path.name
        fields.setdefault("name", _name_of(path.stem))
    for override in overrides:
        _override(fields, override)
    study = _validate(fields, where).model_copy(update={"folder": folder, "file": file})
    try:
        resolve(study, allow_absent=allow_absent)
    except StudyError as error:
        raise type(error)(f"{where}: {error}") from None
    except (OSError, RuntimeError) as error:  # a path the system rejects, such as one that is too long
        raise StudyError(f"{where}: a path in it cannot be used: {printable(str(error), 160)}.") from None
    return study


def _name_of(stem: str) -> str:
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)[:64].lstrip("._-") or "study"
    )


def _read(path: Path) -> dict[str, Any]:
    name = printable_path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise StudyError(f"There is no study file {name!r}.{neighbour(path)}") from None
    except OSError as error:
        raise StudyError(f"{name} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise StudyError(f"{name!r} cannot be the name of a file.") from None
    if len(raw) > MAX_BYTES:
        raise StudyError(f"{name} has more than {MAX_BYTES} bytes; a study file is a page of text.")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise StudyError(f"{name} is not UTF-8 text, so it is not TOML.") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise StudyError(f"{name} is not valid TOML: {printable(str(error), 200)}") from None


def _override(fields: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise StudyError(f"--set {printable(override)!r}: write it as field=value, e.g. --set training.epochs=5.")
    value = _value(text)
    *path, last = name.strip().split(".")
    place = fields
    for part in path:
        inner = place.get(part, {})
        if isinstance(inner, str):
            inner = {"name": inner}
        if not isinstance(inner, dict):
            raise StudyError(
                f"--set {printable(name)}: {printable(part)!r} is not a table, so nothing can be set in it."
            )
        place[part] = dict(inner)
        place = place[part]
    place[last] = value


def _value(text: str) -> Any:
    """*text* as a TOML value, as itself where it is none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return parsed["value"] if len(parsed) == 1 else text.strip()


def _validate(fields: dict[str, Any], where: str) -> AnyStudy:
    for name in ("folder", "file"):  # set by load_study, not by the user
        if name in fields:
            raise StudyError(f"{where}: {not_a_field(name, name, fields_at((), Study))}")
    try:
        kind = fields_of(fields)
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None
    try:
        return kind.model_validate(fields)
    except RecursionError:
        raise StudyError(f"{where} is nested too deeply.") from None
    except ValidationError as error:
        raise StudyError(explain(error, where, kind)) from None
