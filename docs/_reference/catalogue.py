"""Whatever ``prunecheck list`` lists, as tables that link to the hand-written section of each entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, get_args

from docs._reference.markdown import Undocumented, code, said, sections, table

from prunecheck.cli import catalogue as cli_catalogue
from prunecheck.data import DATASETS
from prunecheck.models import ALIASES
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS
from prunecheck.pruning.plugins import POINTS
from prunecheck.pruning.presets import PRESETS
from prunecheck.training.recipe import RECIPES, Recipe

KINDS: tuple[str, ...] = tuple(one for one in get_args(cli_catalogue.Kind) if not one.startswith("post-training"))
"""Those of language models have a page of their own, written by ``post_training``."""
PAGES = {
    "methods": "methods.md",
    "allocations": "methods.md",
    "checks": "checks.md",
    "presets": "presets.md",
    "datasets": "data-sets.md",
}
"""Where each entry of a kind has a section of its own."""


def writer(kind: str) -> Callable[[], str]:
    """What writes the table of *kind*."""
    return partial(markdown, kind)


def markdown(kind: str) -> str:
    """Raises Undocumented for an entry without a summary, a section, or a word about one of its options."""
    entries = [(name, said(summary, f"{kind}: {name!r}")) for name, summary in cli_catalogue._entries(kind)]  # type: ignore[arg-type]
    if kind == "recipes":
        return _recipes()
    written = sections(PAGES[kind]) if kind in PAGES else {}
    rows = []
    for name, summary in entries:
        more = _more(kind, name)
        if kind in PAGES:
            _check(kind, name, written)
        shown = f"[`{name}`](../{PAGES[kind]}#{anchor(name)})" if kind in PAGES else code(name)
        rows.append((shown, summary, *more.values()))
    return table(("", "", *_more(kind, entries[0][0])), rows)


def choices() -> str:
    """The choices that each method makes beside its score, as a study file names them."""
    rows = [
        (f"[`{m.name}`](#{anchor(m.name)})", *map(code, (m.allocate, m.when, m.rewind, m.retrain, m.rounds)))
        for m in METHODS
        if m.name != "dense"
    ]
    return table(("method", *map(code, ("allocate", "when", "rewind", "retrain", "rounds"))), rows)


def promises() -> str:
    """What each check destroys and keeps, by intervention point."""
    rows = [
        (point, f"[`{c.name}`](#{anchor(c.name)})", c.destroys, c.keeps, c.preserves if c.changes else "equal bits")
        for point in POINTS
        for c in CHECKS
        if c.at == point
    ]
    return table(("intervention point", "check", "destroys", "keeps", "verified"), rows)


def anchor(heading: str) -> str:
    """The anchor of a heading that is one name in code, as GitHub forms it."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in "-_")


def _check(kind: str, name: str, written: Mapping[str, str]) -> None:
    if name not in written:
        raise Undocumented(f"{kind}: {name!r} has no section in docs/{PAGES[kind]}.")
    for option in getattr(_plug_in(kind, name), "options", {}):
        if f"`{option}" not in written[name]:
            raise Undocumented(f"{kind}: option {option!r} of {name!r} is not in its section of docs/{PAGES[kind]}.")


def _plug_in(kind: str, name: str) -> Any:
    registries: Mapping[str, Any] = {"methods": METHODS, "allocations": ALLOCATIONS, "checks": CHECKS}
    return registries[kind].get(name) if kind in registries else None


def _more(kind: str, name: str) -> dict[str, str]:
    """The other columns of an entry, by their heads."""
    if kind in ("methods", "allocations", "checks"):
        plugin = _plug_in(kind, name)
        point = {"intervention point": plugin.at} if kind == "checks" else {}
        options = ", ".join(f"`{option}`" for option in plugin.options)
        return {**point, "options": options, "also": ", ".join(map(code, plugin.aliases))}
    if kind == "datasets":
        entry = DATASETS[name]
        images = f"{entry.size} × {entry.size} × {entry.channels}" if entry.size else "as they are"
        numbers = [f"{n:,}" if n else "as found" for n in (entry.num_classes, entry.n_train, entry.n_test)]
        return dict(zip(("images", "classes", "train", "test"), (images, *numbers), strict=True))
    if kind == "models":
        return {"also": ", ".join(code(alias) for alias, meant in ALIASES.items() if meant == name)}
    assert kind in ("presets", "studies"), f"nothing is known of the columns of {kind}"
    whole = PRESETS[name].whole if kind == "presets" else {}
    named = ", ".join(f"{layers} ({method})" if method != "*" else layers for method, layers in whole.items())
    return {"left whole": named or "none"} if kind == "presets" else {}


def _recipes() -> str:
    rows = [(code(f.name), *(code(getattr(recipe, f.name)) for recipe in RECIPES.values())) for f in fields(Recipe)]
    return table(("", *(code(name) for name in RECIPES)), rows)
