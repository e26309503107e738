"""The commands in RELIABILITY.md refer to files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| Hazard")]


def test_reliability_rows_have_figure_command_and_date() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        hazard, promise, figure, command, date = (cell.strip() for cell in row.strip("|").split("|"))
        assert hazard
        assert promise
        assert figure
        assert re.search(r"`(pytest|prunecheck) [^`]+`", command), row
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), row


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:tests|src)/[\w/.]+", TEXT))))
def test_paths_in_reliability_commands_exist(path: str) -> None:
    assert (ROOT / path.rstrip(".")).exists()


SELECTIONS = re.findall(r"`pytest ((?:tests/\S+ )+)-k (?:\"([^\"]+)\"|(\w+))", TEXT)


@pytest.mark.parametrize(("files", "quoted", "word"), SELECTIONS)
def test_selected_names_in_reliability_commands_exist(files: str, quoted: str, word: str) -> None:
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in files.split())
    for name in re.split(" or ", quoted or word):
        assert re.search(rf"^def test_\w*{name}", text, re.MULTILINE), name


def test_selections_are_found() -> None:
    assert len(SELECTIONS) > 5
