"""An audit in words: the same facts and layers at the desk, at a prompt and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck import html
from prunecheck.text import percent, printable

if TYPE_CHECKING:
    from prunecheck.interop.audit import Audit

HEADS = ("name", "weights", "kept", "share", "smart ratio", "erk")


def facts(found: Audit) -> list[tuple[str, str]]:
    """What is said of the whole mask, in the order of importance, notes last."""
    return [
        ("sparsity", f"{_told(found.sparsity)} ({found.kept} of {found.weights} weights kept)"),
        ("effective sparsity", _told(found.effective_sparsity)),
        ("dead units", "cannot be told" if found.dead_units is None else str(found.dead_units)),
        ("empty layers", ", ".join(found.empty_layers) or "none"),
        ("like the smart ratio", f"{_number(found.smart_ratio_correlation)} (correlation of the layers' shares)"),
        ("like ERK", _number(found.erk_correlation)),
        ("in full layers", f"{_told(found.in_full_layers)} of the kept weights"),
        ("left in place", f"{_told(found.stays)} of the kept weights by a layerwise rearrangement, by chance"),
        *(("note", text) for text in found.notes),
    ]


def layers(found: Audit) -> list[tuple[object, ...]]:
    """A row a layer under ``HEADS``; the last three are shares of the layer's weights."""
    return [
        (la.name, la.weights, la.kept, *(_share(k, la.weights) for k in (la.kept, la.smart_ratio, la.erk)))
        for la in found.layers
    ]


def as_text(found: Audit) -> str:
    """One fact a line."""
    told = facts(found)
    width = max(len(term) for term, _ in told)
    return "\n".join(printable(f"{term.ljust(width)}  {value}", 400) for term, value in told)


def as_html(found: Audit) -> str:
    """The facts and the layers as two tables."""
    return html.table("Audit of a mask", ("", ""), facts(found)) + html.table("Layer by layer", HEADS, layers(found))


def _told(share: float | None) -> str:
    return "cannot be told" if share is None else percent(round(share, 4))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(kept: int | None, weights: int) -> str:
    return "-" if kept is None else f"{kept / weights:.4f}"
