"""What a plug-in may ask for and what may be said of it, from the contract and the decorators."""

from __future__ import annotations

from docs._reference.markdown import code, said, table

from prunecheck.pruning.plugins import ALLOCATION_OFFERS, AT_POINT, CHECK_OFFERS, METHOD_OFFERS


def markdown() -> str:
    """A table of offers for each kind of plug-in."""
    methods = table(("parameter", "value"), _rows(METHOD_OFFERS))
    allocations = table(("parameter", "value"), _rows(ALLOCATION_OFFERS))
    rows = [
        (
            code(name),
            said(words, f"offer {name!r}"),
            ", ".join(point for point, names in AT_POINT.items() if name in names),
        )
        for name, words in CHECK_OFFERS.items()
    ]
    checks = table(("parameter", "value", "offered at"), rows)
    return "\n\n".join(["### To a method", methods, "### To an allocation", allocations, "### To a check", checks])


def _rows(offers: dict[str, str]) -> list[tuple[str, str]]:
    return [(code(name), said(words, f"offer {name!r}")) for name, words in offers.items()]
