"""A thousand ways to write one table: read as the same rows, or, where it was damaged, refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prunecheck.errors import StudyError
from prunecheck.statistics.rows import Row
from prunecheck.statistics.tables import read_table

Rng = np.random.Generator
Cells = list[list[str]]
HEAD = ["method", "check", "sparsity", "seed", "accuracy", "n_test"]
CASES = 1000


def original(rng: Rng) -> Cells:
    """A head and the rows of two methods, a check and the dense network."""
    arms = [("dense", "clean", ""), *((m, c, "0.9") for m in ("ours", "random_ticket") for c in ("clean", "shuffled"))]
    points = iter(rng.integers(8000, 9999, 15))
    rows = [[m, c, s, str(seed), f"0.{next(points)}", "10000"] for m, c, s in arms for seed in range(3)]
    return [HEAD, *rows]


def rows_of(cells: Cells) -> set[Row]:
    return {
        Row(m, c, float(s) if s else None, int(seed), float(accuracy), int(n))
        for m, c, s, seed, accuracy, n in cells[1:]
    }


# Other ways to write the same table, before it becomes text.


def columns_permuted(cells: Cells, rng: Rng) -> Cells:
    order = rng.permutation(len(cells[0]))
    return [[row[i] for i in order] for row in cells]


def rows_permuted(cells: Cells, rng: Rng) -> Cells:
    return [cells[0], *(cells[1 + i] for i in rng.permutation(len(cells) - 1))]


def rows_repeated(cells: Cells, rng: Rng) -> Cells:
    return [*cells, *(cells[i] for i in rng.integers(1, len(cells), 3))]


def an_extra_column(cells: Cells, rng: Rng) -> Cells:
    at = int(rng.integers(0, len(cells[0]) + 1))
    name = str(rng.choice(["comment", "", "best_accuracy", "std_of_loss", "gpu"]))
    return [[*row[:at], name if i == 0 else str(i), *row[at:]] for i, row in enumerate(cells)]


def capitals(cells: Cells, rng: Rng) -> Cells:
    change = (str.upper, str.title)[int(rng.integers(2))]
    words = {"dense", "clean"}
    return [
        [change(c) for c in cells[0]],
        *([change(c) if c.strip() in words else c for c in row] for row in cells[1:]),
    ]


def spaces(cells: Cells, rng: Rng) -> Cells:
    return [[" " * int(rng.integers(0, 3)) + cell + " " * int(rng.integers(0, 3)) for cell in row] for row in cells]


def numbers_as_floats(cells: Cells, _rng: Rng) -> Cells:
    whole = [i for i, name in enumerate(cells[0]) if name.strip().lower() in ("seed", "n_test")]
    return [cells[0], *([f"{c.strip()}.0" if i in whole else c for i, c in enumerate(row)] for row in cells[1:])]


def percent_signs(cells: Cells, _rng: Rng) -> Cells:
    places = [i for i, name in enumerate(cells[0]) if name.strip().lower() in ("accuracy", "sparsity")]
    return [
        cells[0],
        *(
            [f"{float(c) * 100:.2f}%" if i in places and c.strip() else c for i, c in enumerate(row)]
            for row in cells[1:]
        ),
    ]


def percent_without_signs(cells: Cells, _rng: Rng) -> Cells:
    (place,) = [i for i, name in enumerate(cells[0]) if name.strip().lower() == "accuracy"]
    return [cells[0], *([f"{float(c) * 100:.2f}" if i == place else c for i, c in enumerate(row)] for row in cells[1:])]


WRITINGS: tuple[Callable[[Cells, Rng], Cells], ...] = (
    columns_permuted, rows_permuted, rows_repeated, an_extra_column, capitals, spaces, numbers_as_floats,
)  # fmt: skip
UNITS = (percent_signs, percent_without_signs, lambda cells, _rng: cells)


def as_text(cells: Cells, rng: Rng) -> str:
    """With a separator, line ends, perhaps quotes, decimal commas, blank lines, comments and a separator line."""
    separator, end = str(rng.choice([",", ";", "\t", "|"])), str(rng.choice(["\n", "\r\n", "\r"]))
    quoted, commas = rng.random() < 0.3, separator != "," and rng.random() < 0.5
    lines = []
    for row in cells:
        written = [
            cell.replace(".", ",") if commas and cell.strip(" %").replace(".", "").isdigit() else cell for cell in row
        ]
        lines.append(separator.join(f'"{cell}"' if quoted else cell for cell in written))
        lines += [""] * int(rng.random() < 0.1)
    above = [f"sep={separator}"] * int(rng.random() < 0.1) + ["# from elsewhere"] * int(rng.random() < 0.1)
    return end.join([*above, *lines]) + end * int(rng.random() < 0.7)


def _is_number(cell: str) -> bool:
    return cell.strip(" %").replace(".", "").isdigit()


# Damage, which no reading can undo.


def a_column_gone(cells: Cells, rng: Rng) -> Cells:
    at = int(rng.choice([i for i, name in enumerate(cells[0]) if name.strip().lower() in HEAD and name != "check"]))
    return [[*row[:at], *row[at + 1 :]] for row in cells]


def a_column_twice(cells: Cells, rng: Rng) -> Cells:
    at = int(rng.choice([i for i, name in enumerate(cells[0]) if name.strip().lower() in HEAD]))
    return [[*row, row[at]] for row in cells]


def a_bad_cell(cells: Cells, rng: Rng) -> Cells:
    places = [i for i, name in enumerate(cells[0]) if name.strip().lower() in ("seed", "accuracy", "n_test")]
    row, at = int(rng.integers(1, len(cells))), int(rng.choice(places))
    bad = str(rng.choice(["", "nan", "inf", "-0.5", "x", "0.9.1", "1e", "--", "9876543210123456789.5", "10 000"]))
    return [[bad if (i, j) == (row, at) else cell for j, cell in enumerate(cells[i])] for i in range(len(cells))]


def one_row_in_percent(cells: Cells, rng: Rng) -> Cells:
    (at,) = [i for i, name in enumerate(cells[0]) if name.strip().lower() == "accuracy"]
    row = int(rng.integers(1, len(cells)))
    text = cells[row][at].strip().rstrip("%")
    other = f"{float(text) * 100:.2f}" if float(text) <= 1 else f"{float(text) / 100:.4f}"
    return [[other if (i, j) == (row, at) else cell for j, cell in enumerate(cells[i])] for i in range(len(cells))]


def one_row_spelled_otherwise(cells: Cells, rng: Rng) -> Cells:
    word = str(rng.choice(["dense", "clean"]))
    found = [(i, j) for i, row in enumerate(cells) for j, cell in enumerate(row) if i and cell.strip().lower() == word]
    place = found[int(rng.integers(len(found)))]
    old = cells[place[0]][place[1]].strip()
    new = word.upper() if old != word.upper() else word
    return [[new if (i, j) == place else cell for j, cell in enumerate(row)] for i, row in enumerate(cells)]


def a_cell_gone(cells: Cells, rng: Rng) -> Cells:
    row = int(rng.integers(1, len(cells)))
    at = int(rng.integers(0, len(cells[0])))
    return [[*r[:at], *r[at + 1 :]] if i == row else r for i, r in enumerate(cells)]


def clean_arms_gone(cells: Cells, _rng: Rng) -> Cells:
    return [row for row in cells if not ({"ours", "clean"} <= {cell.strip().lower() for cell in row})]


DAMAGES: tuple[Callable[[Cells, Rng], Cells], ...] = (
    a_column_gone,
    a_column_twice,
    a_bad_cell,
    one_row_in_percent,
    one_row_spelled_otherwise,
    a_cell_gone,
    clean_arms_gone,
)


def attempt(path: Path) -> tuple[Row, ...] | str:
    """The rows of the file, or the sentence that refuses it."""
    try:
        return read_table(path).rows
    except StudyError as error:
        return str(error)


def test_a_thousand_mutated_tables_are_read_right_or_refused_in_one_line(tmp_path: Path) -> None:
    path, read, refused = tmp_path / "table.csv", 0, 0
    for case in range(CASES):
        rng = np.random.default_rng(case)
        cells = original(rng)
        expected = rows_of(cells)
        cells = UNITS[int(rng.integers(len(UNITS)))](cells, rng)
        for i in rng.choice(len(WRITINGS), size=int(rng.integers(0, 4)), replace=False):
            cells = WRITINGS[i](cells, rng)
        damage = DAMAGES[int(rng.integers(len(DAMAGES)))] if rng.random() < 0.5 else None
        if damage is not None:
            cells = damage(cells, rng)
        encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
        text = as_text(cells, rng)
        path.write_bytes(text.encode(encoding))
        answer = attempt(path)
        if isinstance(answer, str):
            assert damage is not None, f"case {case}: {answer}\n{text}"
            assert "\n" not in answer, f"case {case}"
            assert answer.startswith(str(path)), f"case {case}: {answer}"
            refused += 1
        else:
            assert set(answer) == expected, f"case {case}: {damage}\n{text}"
            assert len(answer) == len(expected)
            read += 1
    assert read > CASES // 3
    assert refused > CASES // 3


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_file_is_refused_or_lacks_its_end(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = original(rng)
    text = "\n".join(",".join(row) for row in cells)
    path = tmp_path / "table.csv"
    for _ in range(20):
        path.write_text(text[: int(rng.integers(len(text)))])
        answer = attempt(path)
        if isinstance(answer, str):
            assert "\n" not in answer
        else:  # the last number of test examples may be cut short, which the comparison of test sets refuses
            assert sum(row in rows_of(cells) for row in answer) >= len(answer) - 1
