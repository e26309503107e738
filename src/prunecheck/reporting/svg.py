"""SVG as text: escaped, short numbers, coloured by CSS classes only (the page forbids inline styles)."""

from __future__ import annotations

from html import escape

from prunecheck.reporting.text import clean


def tag(element: str, *children: str, **attributes: object) -> str:
    """One element. *children* are SVG already; attribute values are cleaned and escaped, None ones left out.

    ``class_`` becomes ``class`` and ``font_size`` ``font-size``.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{element}{written}>{''.join(children)}</{element}>"


def words(text: str) -> str:
    """Text as SVG content."""
    return escape(clean(text))


def short(value: float) -> str:
    """At most two decimals and never ``-0``: half the bytes, the same picture."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(value: object) -> str:
    return short(value) if isinstance(value, float) else escape(clean(value))


MARKERS = (
    "M{x} {y}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
    "M{x} {y}m-3.2 -3.2h6.4v6.4h-6.4z",
    "M{x} {y}m0 -4.4l4.2 7.4h-8.4z",
    "M{x} {y}m0 -4.8l4.4 4.8l-4.4 4.8l-4.4 -4.8z",
    "M{x} {y}m0 4.4l4.2 -7.4h-8.4z",
    "M{x} {y}m-1.4 -4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
)
"""circle, square, triangle, diamond, triangle down, cross: shape tells series apart where colour cannot"""


def marker(kind: int, x: float, y: float, **attributes: object) -> str:
    path = MARKERS[kind % len(MARKERS)].format(x=short(x), y=short(y))
    return tag("path", d=path, class_=f"mark c{kind % PALETTE}", **attributes)


PALETTE = 8
"""colours of series, ``.c0`` (ink, the clean arm) to ``.c7``; shapes and dashes repeat out of step with them"""
