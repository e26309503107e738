"""Words, symbols and numbers as every part of the report writes them. ASCII minus; the page makes it typographic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from prunecheck.statistics.outcome import Cell, CheckVerdict, headline
from prunecheck.statistics.rows import number
from prunecheck.text import percent

ASCII_SYMBOLS = {
    "DEPENDS": "*",
    "DOES NOT DEPEND": "o",
    "INCONCLUSIVE": "?",
    "UNINFORMATIVE": "-",
    "PASSES": "+",
    "FAILS": "x",
    "BETTER": "^",
    "NOT BETTER": "=",
    "WORSE": "v",
}
CONTROL_ANSWERS = {
    "control ok": "PASSES",
    "control failed": "FAILS",
    "control weak": "INCONCLUSIVE",
    "control not run": "UNINFORMATIVE",
}
"""state of a control, in words -> the answer whose symbol and colour it has"""
STYLES = {
    "DEPENDS": "depends",
    "DOES NOT DEPEND": "not",
    "INCONCLUSIVE": "open",
    "UNINFORMATIVE": "mute",
    "PASSES": "depends",
    "FAILS": "not",
    "BETTER": "depends",
    "NOT BETTER": "not",
    "WORSE": "not",
}
"""answer -> the CSS class that colours it; the word and the symbol always stand beside the colour"""

MEANINGS = {
    "DEPENDS": "the drop exceeds the margin: what the check destroys matters",
    "DOES NOT DEPEND": "the drop is below the margin: what the check destroys does not matter",
    "BETTER": "the lead of the first method over the second exceeds the margin",
    "NOT BETTER": "the lead is below the margin",
    "WORSE": "the second method leads by more than the margin",
    "INCONCLUSIVE": "the data do not decide between the two yet",
    "UNINFORMATIVE": "this comparison could not show a difference: runs collapsed to guessing, or a control failed",
}


def interval(cell: Cell) -> str:
    """``[5.20, 7.00]`` in the cell's unit; ``n/a`` where the seeds give no interval."""
    if not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return "n/a"
    return f"[{number(cell.low, cell.unit)}, {number(cell.high, cell.unit)}]"


def minus(text: object) -> str:
    """*text* with a typographic minus before numbers; hyphens in names and ranges stay."""
    return re.sub(r"(?<![\w.\-])-(?=\d)", "\N{MINUS SIGN}", str(text))


def effect(cell: Cell | None) -> str:
    """``+6.10 [+5.20, +7.00]``: mean drop in the cell's unit and the interval that the verdict uses."""
    if cell is None or not math.isfinite(cell.mean_drop):
        return ""
    bounds = interval(cell)
    mean = number(cell.mean_drop, cell.unit)
    return mean if bounds == "n/a" else f"{mean} {bounds}"


def probability(value: float) -> str:
    if not math.isfinite(value):
        return "n/a"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def share(value: float | None, places: int = 1) -> str:
    """``0.941 -> '94.1%'``; never ``-0%``."""
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{100 * value:.{places}f}"
    return f"{text.lstrip('-') if not text.strip('-0.') else text}%"


def fraction(value: float) -> str:
    """A kept share over many decades: ``0.5 -> '50%'``, ``0.00123 -> '0.12%'``."""
    return f"{100 * value:.2g}%" if value < 0.995 else f"{100 * value:.0f}%"


def whole(value: int) -> str:
    """``10000 -> '10,000'``."""
    return f"{value:,}"


def sparsity_name(value: float) -> str:
    """``0.98 -> '98%'``; the pooled cell, which has no sparsity, is called ``mean``."""
    return percent(value) if math.isfinite(value) and 0 < value < 1 else "mean"


def check_effect(check: CheckVerdict) -> str:
    """The effect of the cell that represents a check, or of the sparsity that decided it, where the mean alone shows no
    dependence; where collapsed runs leave it without an interval, it says so."""
    cell = headline(check)
    decided = _decisive(check, cell)
    if decided is not None:
        return f"{effect(decided)} at {percent(decided.sparsity)}"
    text = effect(cell)
    if cell is not None and not math.isfinite(cell.low) and any("collapsed" in note for note in cell.notes):
        return f"{text}, runs collapsed".removeprefix(", ")
    return text


def _decisive(check: CheckVerdict, shown: Cell | None) -> Cell | None:
    """The sparsity by which a check depends although the bound *shown* does not exceed the margin; else None."""
    if shown is None or check.verdict != "DEPENDS" or shown.low > shown.margin:
        return None
    found = [cell for cell in check.cells if cell.verdict == "DEPENDS" and math.isfinite(cell.low)]
    return max(found, key=lambda cell: cell.low, default=None)


def remarks(notes: Iterable[str], sentence: str = "") -> str:
    """Notes as sentences, each once, without those that *sentence* contains already."""
    texts = dict.fromkeys(note.strip().rstrip(".") for note in notes)
    kept = [text for text in texts if text and text.lower() not in sentence.lower()]
    # identifiers such as layerwise_rearrange stay as they are written
    begins = (text[0].upper() if text.split()[0].isalpha() else text[0] for text in kept)
    return " ".join(f"{begin}{text[1:]}." for begin, text in zip(begins, kept, strict=True))
