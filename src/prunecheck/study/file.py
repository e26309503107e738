"""From a study file to a checked study: one clear message for whatever is wrong, before anything runs."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from prunecheck import data, models
from prunecheck.core.errors import PrunecheckError, StudyError
from prunecheck.core.presets import preset_named
from prunecheck.core.words import nearest, printable, unknown
from prunecheck.plugins import ALLOCATIONS, CHECKS, METHODS, load_file
from prunecheck.study.study import CheckChoice, MethodChoice, Study, located
from prunecheck.training.recipe import RECIPES

MAX_BYTES = 1_000_000


def load_study(source: str | Path | Mapping[str, Any] | Study, overrides: Iterable[str] = ()) -> Study:
    """The checked study of a TOML file, a mapping of the same fields, or a Study.

    ``overrides``: ``"training.epochs=5"`` strings, values in TOML, bare words taken as text. Loads the plug-in files
    the study names. Raises StudyError (one to three lines) for everything that can be seen without torch.
    """
    if isinstance(source, Study):
        fields, where, folder = source.model_dump(exclude_defaults=True), "study", source.folder
    elif isinstance(source, Mapping):
        fields, where, folder = dict(source), "study", Path.cwd()
    else:
        path = Path(source)
        fields, where, folder = _read(path), path.name, path.resolve().parent
        fields.setdefault("name", _tame(path.stem))
    for override in overrides:
        _override(fields, override)
    study = _validate(fields, where).model_copy(update={"folder": folder})
    try:
        _resolve(study, where)
    except StudyError as error:
        raise type(error)(f"{where}: {error}" if not str(error).startswith(where) else str(error)) from None
    return study


def _tame(stem: str) -> str:
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)[:64].lstrip("._-") or "study"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        folder = path.parent if path.parent.is_dir() else Path()
        guess = difflib.get_close_matches(path.name, [p.name for p in folder.glob("*.toml")], n=1)
        hint = f" Did you mean {printable(str(path.with_name(guess[0])))!r}?" if guess else ""
        raise StudyError(f"There is no study file {printable(str(path))!r}.{hint}") from None
    except OSError as error:
        raise StudyError(f"{printable(str(path))} cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_BYTES:
        raise StudyError(f"{path.name} has {len(raw)} bytes; a study file has at most {MAX_BYTES}.")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise StudyError(f"{path.name} is not UTF-8 text, so it is not TOML.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"{path.name} is not valid TOML: {printable(str(error), 200)}") from None


def _override(fields: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise StudyError(f"--set {printable(override)!r}: write it as field=value, e.g. --set training.epochs=5.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = text.strip()
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


def _validate(fields: dict[str, Any], where: str) -> Study:
    try:
        return Study.model_validate(fields)
    except RecursionError:
        raise StudyError(f"{where} is nested too deeply.") from None
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = _sentence(problems[0], where)
        more = (
            f"\n({len(problems) - 1} more: {', '.join(_path(p['loc']) for p in problems[1:4])})" if problems[1:] else ""
        )
        raise StudyError(first + more) from None


def _path(location: tuple[int | str, ...]) -> str:
    """``('methods', 2, 'name') -> methods[2].name``; pydantic's names for the branches of a union are left out."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part.startswith(("tuple[", "literal[", "constrained")) and part not in ("int", "str"):
            text += f".{printable(part, 40)}" if text else printable(part, 40)
    return text or "study"


def _sentence(problem: Any, where: str) -> str:
    place, kind = _path(problem["loc"]), problem["type"]
    if kind == "extra_forbidden":
        *_, last = problem["loc"]
        known = _fields_at(problem["loc"][:-1])
        guess = nearest(str(last), known)
        hint = f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(sorted(known))}."
        return f"{where}: {place} is not a field of a study. {hint}"
    if kind == "missing":
        return f"{where}: {place} is missing. A study needs model, data, methods, checks and sparsities."
    found = printable(repr(problem.get("input")), 60)
    text = problem["msg"].removeprefix("Value error, ")
    if kind == "too_short":
        return f"{where}: {place} is empty: name at least one."
    if place.startswith("seeds") and kind not in ("value_error",):
        return f'{where}: seeds = {found} must be a number of seeds, a list of whole numbers, or "auto".'
    if kind == "literal_error":
        expected = [word.strip(" '\"") for word in problem["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{where}: {place} = " + unknown("choice here", str(problem.get("input")), expected)
    if kind == "string_pattern_mismatch":
        return f"{where}: {place} = {found}: letters, digits and . _ - only, at most 64."
    if kind == "value_error":
        return f"{where}: {text}" if place == "study" or text.startswith(place) else f"{where}: {place}: {text}"
    return f"{where}: {place} = {found}: {text[0].lower()}{text[1:]}."


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    here: type[BaseModel] = Study
    for part in location:
        field = here.model_fields.get(str(part))
        if field is None:
            continue
        inner: Any = {"methods": MethodChoice, "checks": CheckChoice}.get(str(part), field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            here = inner
    return [name for name in here.model_fields if name != "folder"]


def _resolve(study: Study, where: str) -> None:
    """Every name means something, every option exists: the checks that need the registries and catalogues."""
    for path in study.plugin_files:
        load_file(path)
    if not models.is_external(study.model):
        _named(f"{where}: model", "model", study.model, models.names())
    _named(f"{where}: data", "data set", study.data.name, data.names())
    for i, choice in enumerate(study.methods):
        _at(f"{where}: methods[{i}]", lambda c=choice: _resolve_method(c))
    for i, chosen in enumerate(study.checks):
        _at(f"{where}: checks[{i}]", lambda c=chosen: _options(CHECKS.get(c.name), c.options))
    if study.preset is not None:
        preset_named(study.preset)
    if study.training.recipe is not None:
        _named(f"{where}: training.recipe", "recipe", study.training.recipe, RECIPES)
    recipe = study.recipe
    if not 0 <= recipe.rewind_epoch <= recipe.epochs:
        raise StudyError(f"training.rewind_epoch = {recipe.rewind_epoch} is not within the {recipe.epochs} epochs.")
    if any(not 0 < drop <= 1 for drop in recipe.drops):
        raise StudyError("training.drops are fractions of the epochs in (0, 1], such as [0.5, 0.75].")
    if study.device != "cpu" and not study.device.startswith(("cuda", "mps")):
        raise StudyError("device: " + unknown("device", study.device, ["cpu", "cuda", "mps"]))
    if study.task != "classification":
        raise StudyError("task: " + unknown("task", study.task, ["classification"]))
    data.check(located(study))


def _named(place: str, kind: str, word: str, choices: Iterable[str]) -> None:
    known = list(choices)
    if word not in known:
        raise StudyError(f"{place} = {unknown(kind, word, known)}")


def _at(place: str, action: Any) -> None:
    try:
        action()
    except PrunecheckError as error:
        raise StudyError(f"{place} = {error}") from None


def _resolve_method(choice: MethodChoice) -> None:
    method = METHODS.get(choice.name)
    _options(method, choice.options)
    if choice.allocate is not None:
        _options(ALLOCATIONS.get(choice.allocate.name), choice.allocate.options)
        if (choice.allocate.name == "counts_of") != (choice.allocate.method is not None):
            raise StudyError('allocate = {name = "counts_of", method = "snip"}: the two go together.')
        if choice.allocate.method is not None:
            METHODS.get(choice.allocate.method)
    if choice.rounds is not None and choice.per_round is not None:
        raise StudyError("rounds and per_round are two ways to say the same: give one.")
    if method.when == "init" and (choice.rewind not in (None, "init") or choice.rewind_epoch is not None):
        raise StudyError(f"{choice.name!r} prunes at initialisation: there is nothing to rewind.")


def _options(plugin: Any, options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        if option not in plugin.options:
            raise StudyError(f"{plugin.name}.options: {unknown(f'option of {plugin.name}', option, plugin.options)}")
        default = plugin.options[option]
        if default is not None and not isinstance(
            value, (type(default), int if isinstance(default, float) else type(default))
        ):
            raise StudyError(f"{plugin.name}.options.{option} = {value!r} must be a {type(default).__name__}.")
