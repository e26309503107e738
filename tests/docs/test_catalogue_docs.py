"""The catalogue pages list exactly the registered names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS
from prunecheck.pruning.presets import PRESETS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "methods": ("methods.md", {plugin.name: plugin for plugin in METHODS}),
    "allocations": ("methods.md", {plugin.name: plugin for plugin in ALLOCATIONS}),
    "checks": ("checks.md", {plugin.name: plugin for plugin in CHECKS}),
    "presets": ("presets.md", dict(PRESETS)),
}
EVERY = [(kind, name) for kind, (_, plugins) in PAGES.items() for name in plugins]


def sections(text: str) -> dict[str, str]:
    """``{name: text}`` of the sections headed ### `name`."""
    parts = re.split(r"^### `([^`]+)`\n", text, flags=re.MULTILINE)
    return {
        name: re.split(r"^##", body, flags=re.MULTILINE)[0] for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["methods.md", "checks.md", "presets.md"])
def test_page_sections_equal_registered_names(name: str) -> None:
    registered = [key for file, plugins in PAGES.values() if file == name for key in plugins]
    assert sorted(sections(page(name))) == sorted(registered)


def written(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, f'"{value}"') if isinstance(value, (bool, str)) else str(value)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_section_contains_options_defaults_and_source(kind: str, name: str) -> None:
    file, plugins = PAGES[kind]
    section, plugin = sections(page(file))[name], plugins[name]
    if kind == "presets":
        assert plugin.source.split(" (")[0] in section
        return
    for option, default in plugin.options.items():
        said = f"`{option} = {written(default)}`" if default is not None else f"`{option}`"
        assert said in section, f"{name}: {said}"
    for author in re.split(r"[;,] ", plugin.paper.removesuffix(", official LT_prune.py")):
        assert author in section
        assert not author or f"- {author}:" in page("methods.md") or kind == "allocations"


def test_table_of_decays_is_complete() -> None:
    from prunecheck.pruning.allocations.smart_ratio import DECAYS

    for decay in DECAYS:
        assert f'| `"{decay}"` |' in sections(page("methods.md"))["smart_ratio"]
