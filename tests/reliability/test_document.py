"""RELIABILITY.md names commands: what they point at must be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| Hazard")]


def test_every_row_has_a_figure_a_command_and_a_date() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        hazard, promise, figure, command, date = (cell.strip() for cell in row.strip("|").split("|"))
        assert hazard
        assert promise
        assert figure
        assert re.search(r"`(pytest|prunecheck) [^`]+`", command), row
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), row


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:tests|src)/[\w/.]+", TEXT))))
def test_what_a_command_points_at_is_there(path: str) -> None:
    assert (ROOT / path.rstrip(".")).exists()
