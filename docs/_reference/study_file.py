"""The fields of a study file: names, types, ranges and defaults from the JSON schema, one sentence each.

A sentence stands in the schema (``description``) or in study_fields.toml beside this file; a field with none, and a
sentence about a field that is gone, raise Undocumented.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs._reference.markdown import Undocumented, code, said, table

from prunecheck.study import Study
from prunecheck.study.language_study import LanguageStudy

Schema = Mapping[str, Any]
TOP = "study"
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
MANY = 1_000_000
"""a bound beyond this is there to keep nonsense out, and says nothing to a reader"""


def sentences(file: str = "study_fields.toml") -> dict[str, dict[str, str]]:
    """``{table: {field: sentence}}`` of a file beside this one."""
    return tomllib.loads(Path(__file__).with_name(file).read_text(encoding="utf-8"))


def language_model() -> str:
    """The same for studies of language models."""
    return markdown(LanguageStudy.model_json_schema(), "language_fields.toml")


def markdown(schema: Schema | None = None, words: str = "study_fields.toml") -> str:
    """A section for the study and for each of its tables."""
    schema, written = schema or Study.model_json_schema(), sentences(words)
    found = [_section(place, part, written.get(place, {}), schema["$defs"]) for place, part in tables(schema)]
    gone = [
        f"{place}.{field}"
        for place, fields in written.items()
        for field in fields
        if field not in dict(tables(schema)).get(place, {}).get("properties", {})
    ]
    if gone:
        raise Undocumented(f"docs describe {gone[0]}, which a study file does not have.")
    return "\n\n".join(found)


def tables(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The study, then every table in it, by where it stands in a file: ``study``, ``data``, ``methods`` …"""
    yield TOP, schema
    yield from _inner(schema, schema["$defs"], "")


def _inner(part: Schema, parts: Schema, before: str) -> Iterator[tuple[str, Schema]]:
    for field, value in part["properties"].items():
        for name in _references(value):
            place = f"{before}{field}"
            yield place, parts[name]
            yield from _inner(parts[name], parts, f"{place}.")


def _references(value: Schema) -> list[str]:
    """The tables a field may hold."""
    inside = [value, *value.get("anyOf", []), value.get("items", {})]
    return [str(one["$ref"]).rpartition("/")[2] for one in inside if "$ref" in one]


def _section(place: str, part: Schema, written: Mapping[str, str], parts: Schema) -> str:
    required = part.get("required", [])
    rows = [
        (
            code(name),
            said(value.get("description") or written.get(name), f"study file: {place}.{name}"),
            _type(value, parts),
            _default(value, name in required),
        )
        for name, value in part["properties"].items()
    ]
    title = "The study" if place == TOP else f"`{place}`"
    about = [] if place == TOP or not part.get("description") else [said(part["description"], place)]
    return "\n\n".join([f"## {title}", *about, table(("field", "", "value", "default"), rows)])


def _type(value: Schema, parts: Schema) -> str:
    if "anyOf" in value:
        return " or ".join(_type(one, parts) for one in value["anyOf"] if one.get("type") != "null")
    if "$ref" in value:
        (name,) = _references(value)
        return "name or table" if "name" in parts[name]["properties"] else "table"
    if "enum" in value:
        return " ".join(code(f'"{one}"') for one in value["enum"])
    if "const" in value:
        return code(f'"{value["const"]}"')
    if value["type"] == "array":
        if "prefixItems" in value:
            return "pair" if len(value["prefixItems"]) == 2 else "list"
        return f"list of {_type(value['items'], parts)}"
    names = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "object": "table",
    }
    bounds = [f"{sign} {value[word]}" for word, sign in BOUNDS.items() if abs(value.get(word, MANY)) < MANY]
    return " ".join([names[value["type"]], ", ".join(bounds)]).strip()


def _default(value: Schema, required: bool) -> str:
    """As it would stand in the file; nothing for a field that is empty or absent by default."""
    if required:
        return "required"
    default = value.get("default")
    return "" if default in (None, "", []) or isinstance(default, dict) else code(json.dumps(default))
