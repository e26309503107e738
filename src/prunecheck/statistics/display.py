"""How a verdict shows itself at a prompt and in a notebook: its own sentences, and the table behind them."""

from __future__ import annotations

import math

from prunecheck import html
from prunecheck.statistics.outcome import INSTRUMENT_CONTROLS, CheckVerdict, StudyVerdict
from prunecheck.text import printable

SYMBOLS = {
    "DEPENDS": "●",
    "DOES NOT DEPEND": "○",
    "INCONCLUSIVE": "◐",
    "UNINFORMATIVE": "–",
    "PASSES": "✓",
    "FAILS": "✗",
}


def as_text(verdict: StudyVerdict) -> str:
    """A line for the study, the banner if there is one, a sentence a method, a word about the controls."""
    lines = [_title(verdict)]
    if verdict.banner:
        lines.append(verdict.banner)
    lines += [f"{SYMBOLS[method.verdict]} {method.sentence}" for method in verdict.methods]
    lines.append(_controls(verdict))
    return "\n".join(printable(line, 600) for line in lines)


def as_html(verdict: StudyVerdict) -> str:
    """The same with the table methods x checks, for a notebook: no script, no style, every name escaped."""
    parts = [html.said(_title(verdict), "h4")]
    if verdict.banner:
        parts.append(html.said(verdict.banner, "strong"))
    parts += [html.said(f"{SYMBOLS[method.verdict]} {method.sentence}") for method in verdict.methods]
    rows = [
        (check.method, check.check, f"{SYMBOLS[check.verdict]} {check.verdict.lower()}", _drop(check))
        for check in verdict.checks
        if check.control not in INSTRUMENT_CONTROLS
    ]
    if rows:
        heads = ("method", "check", "verdict", "drop in points [90% interval]")
        parts.append(html.table("Mean drop in accuracy when a check destroys what a method could use", heads, rows))
    return "".join([*parts, html.said(_controls(verdict))])


def _title(verdict: StudyVerdict) -> str:
    return f"{verdict.study}: margin {verdict.margin:.3g} points"


def _controls(verdict: StudyVerdict) -> str:
    ok = sum(control.status == "ok" for control in verdict.controls)
    return f"{ok} of {len(verdict.controls)} controls ok." if verdict.controls else "No controls were run."


def _drop(check: CheckVerdict) -> str:
    cell = check.pooled or (check.cells[0] if len(check.cells) == 1 else None)
    if cell is None or not math.isfinite(cell.mean_drop):
        return "n/a"
    bounds = f" [{_signed(cell.low)}, {_signed(cell.high)}]" if math.isfinite(cell.low) else ""
    return f"{_signed(cell.mean_drop)}{bounds}"


def _signed(points: float) -> str:
    return f"{round(points, 2) + 0.0:+.2f}"
