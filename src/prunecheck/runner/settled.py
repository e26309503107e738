"""What a look settled, one line a cell: said once, when no more seeds will be asked for it, and again only where a
later look of a control changes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from prunecheck.statistics import Cell, CheckVerdict, StudyVerdict
from prunecheck.text import percent

Place = tuple[str, str, float]


@dataclass
class Settled:
    """``said``: the answers given so far, by method, check and sparsity."""

    said: dict[Place, str] = field(default_factory=dict)

    def news(self, verdict: StudyVerdict) -> list[str]:
        """The lines for what *verdict* (of a whole look) settles or changes."""
        lines, is_last = [], not any(check.open for check in verdict.checks)
        for check in verdict.checks:
            for cell in check.cells if check.control != "identity" else ():
                place = (check.method, check.check, cell.sparsity)
                before, answer = self.said.get(place), _answer(check, cell, is_last)
                if answer is None or answer == before:
                    continue
                self.said[place] = answer
                lines.append(f"{'changed' if before else 'settled'}: {_sentence(check, cell)}")
        return lines


def _answer(check: CheckVerdict, cell: Cell, is_last: bool) -> str | None:
    """None where nothing is settled yet: its seeds are still to come, or those of a control that could show that the
    check can tell after all."""
    provisional = ("INCONCLUSIVE",) if is_last else ("INCONCLUSIVE", "UNINFORMATIVE")
    return None if check.open or cell.verdict in provisional else cell.verdict


def _sentence(check: CheckVerdict, cell: Cell) -> str:
    where = f"{check.method} x {check.check} at {percent(cell.sparsity)}"
    judged = isfinite(cell.low) and isfinite(cell.high)
    interval = f" [{cell.low:+.2f}, {cell.high:+.2f}]" if judged else ""
    return f"{where}: {cell.verdict.lower()}, {cell.mean_drop:+.2f}{interval} points, {cell.n} seeds"
