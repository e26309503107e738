"""Error messages of study files: one sentence with the field, its value and the nearest valid one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from prunecheck.study.study import Study
from prunecheck.text import nearest, printable, unknown

_WANTED = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
}
"""Kind of problem -> wording in terms of a study file, where pydantic's message is about Python."""


_MEANT = {
    **dict.fromkeys(("network", "net", "arch", "architecture"), "Did you mean 'model'?"),
    **dict.fromkeys(("learning_rate", "training.learning_rate"), "Did you mean 'training.lr'?"),
    **dict.fromkeys(
        ("optimizer", "optimiser", "training.optimizer", "training.optimiser"),
        "Training is by SGD: training.lr, training.momentum, training.weight_decay.",
    ),
    **dict.fromkeys(("gpu", "gpus", "cuda"), 'Write device = "cuda".'),
    **dict.fromkeys(("classes", "chance"), "Classes and chance accuracy follow from the data."),
    **dict.fromkeys(("against", "reference", "baseline"), 'Write compare = [["snip", "random_ticket"]].'),
    **dict.fromkeys(("looks", "look"), 'Write seeds = "auto" and max_seeds = 10; analyses follow from them.'),
    **dict.fromkeys(("store", "out", "workers", "strict"), "It is an option: see prunecheck run --help."),
}
"""What is often written, by place -> what does it."""
_TABLES = ("training", "data", "scoring", "methods", "checks")
"""In this order, since ``epochs`` is a field of two."""
_EXAMPLES = {
    "data": ("the data", '{name = "mnist5k", FIELD = ...}'),
    "methods": ("a method", '[{name = "snip", FIELD = ...}]'),
    "checks": ("a check", '[{name = "layerwise_rearrange", FIELD = ...}]'),
}
_CLOSE = 0.65
"""Least similarity of a field that is suggested: at 0.5 ``augment`` is taken for ``name``."""


def explain(error: ValidationError, where: str, fields: type[BaseModel] = Study) -> str:
    """The first problem as a sentence, and the places of up to three more. *where*: the file's name; *fields*: the
    class of the study."""
    problems = error.errors(include_url=False)
    problems.sort(
        key=lambda problem: problem["type"] != "extra_forbidden"
    )  # a misspelt field explains a missing one, so it comes first
    places = list(dict.fromkeys(place_of(problem["loc"]) for problem in problems))
    # the message about an item of a list replaces the one about the list
    others = [p for p in places[1:] if not any(q.startswith((f"{p}.", f"{p}[")) for q in places)]
    more = f"\n({len(others)} more: {', '.join(others[:3])})" if others else ""
    return f"{where}: {_sentence(problems[0], places[0], fields)}{more}"


def not_a_field(place: str, word: str, known: Iterable[str], fields: type[BaseModel] = Study) -> str:
    """*place* and what was probably meant: a field of another name, or of another table of *fields*, a study."""
    known = sorted(known)
    guess = nearest(word, known, _CLOSE)
    hint = (_MEANT.get(place) if fields is Study else "") or _other_table(place, word, fields)
    if not hint:
        hint = f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(known)}."
    return f"{place} is not a field of a study. {hint}"


def _other_table(place: str, word: str, fields: type[BaseModel]) -> str:
    """How the field *word* is written where it belongs; empty where no table has it."""
    if "." in place and word in fields_at((), fields):
        return f"{word} belongs at the top of the file, above the first [table]."
    for table in _TABLES:
        inside = fields_at((table,), fields)
        if inside == fields_at((), fields) or word not in inside or place.startswith(table):
            continue
        if table in _EXAMPLES:
            owner, text = _EXAMPLES[table]
            return f"It belongs to {owner}: {table} = {text.replace('FIELD', word)}."
        return f"Did you mean '{table}.{word}'?"
    return ""


def place_of(location: tuple[int | str, ...]) -> str:
    """``('methods', 2, 'name') -> methods[2].name``."""
    if location[:1] in (("seeds",), ("margin",)):
        return str(location[0])  # the rest are pydantic's names for a number, a list or a text
    if location[:2] == ("training", "flip"):
        return "training.flip"
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{printable(part, 40)}" if text else printable(part, 40)
    return text or "study"


def shown(value: object) -> str:
    """*value* about as in a study file, short and printable."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return printable(repr(value), 60)
    except (ValueError, RecursionError):  # a number of thousands of digits; a list in a list in a list …
        return f"what is there ({type(value).__name__})"


def _sentence(problem: Any, place: str, fields: type[BaseModel]) -> str:
    kind, found = problem["type"], shown(problem.get("input"))
    text = problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return not_a_field(place, str(problem["loc"][-1]), fields_at(problem["loc"][:-1], fields), fields)
    if kind == "missing":
        hint = "" if "." in place else " A study needs model, data, methods, checks and sparsities."
        return f"{place} is missing.{hint}"
    if kind == "too_short":
        return f"{place} is empty: name at least one."
    if kind == "value_error":
        return text if place == "study" or text.startswith(place) else f"{place}: {text}"
    if place == "seeds" and "max_seeds" not in fields.model_fields:  # a study of a language model
        return f"seeds = {found} must be a number of calibration draws or a list of whole numbers, chosen beforehand."
    if place == "seeds":
        return f'seeds = {found} must be a number of seeds, a list of whole numbers, or "auto".'
    if place == "training.flip":
        return f'training.flip = {found} must be true, false or "alternating".'
    if kind == "literal_error":
        choices = [word.strip(" '\"") for word in problem["ctx"]["expected"].replace(" or ", ",").split(",")]
        if isinstance(problem["input"], str):
            word = "control" if place.startswith("controls") else f"valid {problem['loc'][-1]}"
            return f"{place} = {unknown(word, problem['input'], choices)}"
        return f"{place} = {found} must be one of {', '.join(choices)}."
    if kind == "string_pattern_mismatch":
        return f"{place} = {found}: letters, digits and . _ - only, at most 64."
    if kind in ("model_type", "model_attributes_type"):
        wanted = "must be a table" if place in ("training", "scoring") else "must be a name or a table with a name"
        return f"{place} = {found} {wanted}."
    if found == "nan":
        return f"{place} = nan must be a number."
    wanted = _WANTED.get(kind) or text.replace("Input should be", "must be")
    single = kind == "tuple_type" and isinstance(problem["input"], (str, int, float))
    return f"{place} = {found} {wanted}." + (f" Did you mean [{found}]?" if single else "")


def fields_at(location: tuple[int | str, ...], fields: type[BaseModel] = Study) -> list[str]:
    """The fields of the table at *location* in a study of the class *fields*."""
    here = fields
    for part in location:
        field = here.model_fields.get(str(part))
        if field is None:
            continue
        inner: Any = field.annotation
        if get_origin(inner) is tuple:  # of a list, what its items are
            inner = get_args(inner)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            here = inner
    return [name for name in here.model_fields if name not in ("folder", "file")]
