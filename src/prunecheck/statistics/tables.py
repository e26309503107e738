"""A table of results from any program: a file, a DataFrame or dicts, one row per trained network or per arm.

Every row is read or refused. Where a table does not say what it means and one reading is possible (percent, a
separator, `Dense`), the reading stands among the remarks, which go into the verdict; where two are possible the table
is refused with the option or the change that settles it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from prunecheck.errors import StudyError
from prunecheck.statistics import values
from prunecheck.statistics.delimited import plain_name, read_lines
from prunecheck.statistics.frames import records_of
from prunecheck.statistics.rows import CLEAN, DENSE, Metric, Row, unique
from prunecheck.statistics.summaries import (
    SPREAD_COLUMNS,
    Spread,
    Summary,
    last_digits,
    sample_sd,
    split_plus_minus,
    unique_summaries,
)
from prunecheck.text import nearest, printable, printable_path

Source = Any
"""a path, a DataFrame of pandas, polars or pyarrow, columns by name, or rows as dicts or ``Row``"""

REQUIRED = ("method", "check", "sparsity", "seed", "accuracy", "n_test")
SUMMARY = ("method", "check", "sparsity", "mean", "n", "n_test")
KNOWN = {
    *REQUIRED,
    *SUMMARY,
    *SPREAD_COLUMNS,
    "kept",
    "diverged",
    "collapsed",
    "overlap",
    "p_correct",
    "brier",
    "mask_epochs",
    "classes",
    "chance",
}
MOST_EPOCHS = 1e9
_ALSO_FRACTIONS = ("best_accuracy", "train_accuracy")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Reading:
    """What a table does not say itself. None: as the table shows.

    ``percent``: whether accuracies are percent. ``n_test``: test examples, where there is no such column. ``runs``:
    runs behind a mean, where there is no column ``n``. ``spread``: ``std`` is the sample standard deviation (divisor
    n - 1), ``population`` the one with divisor n, ``se`` the standard error of the mean.
    """

    percent: bool | None = None
    n_test: int | None = None
    runs: int | None = None
    spread: Spread | None = None


@dataclass(frozen=True)
class Table:
    """Either ``rows`` or ``summaries``, sorted, each once. ``records``: all columns of every row of results as plain
    values. ``chance``: from a column ``chance`` or ``classes``. ``remarks``: how the table was read."""

    name: str
    rows: tuple[Row, ...]
    summaries: tuple[Summary, ...] = ()
    records: tuple[Mapping[str, Any], ...] = ()
    chance: float | None = None
    remarks: tuple[str, ...] = ()


class _Located(NamedTuple):
    where: str
    texts: dict[str, str]


def read_rows(source: Source) -> tuple[Row, ...]:
    """The rows of a table with one row per trained network: see ``read_table``."""
    table = read_table(source)
    if table.summaries:
        raise StudyError(f"{_shown(source)} holds means over several runs, not runs.")
    return table.rows


def read_table(source: Source, reading: Reading | None = None) -> Table:
    """Read a table with the columns ``REQUIRED``, or ``SUMMARY`` and one of ``std``, ``sd``, ``se``, ``sem``.

    Case and order of columns do not matter, columns of other names are ignored. Raises StudyError, naming file and
    line, for anything that is not a result: missing or repeated columns, NaN, percent among fractions, contradicting
    duplicates, a corrupted arm without any clean arm.
    """
    return _Reader(source, reading or Reading()).table()


class _Reader:
    def __init__(self, source: Source, reading: Reading) -> None:
        self.reading = reading
        self.shown = _shown(source)
        self.name = Path(source).stem if isinstance(source, str | Path) else "study"
        self.remarks: list[str] = []
        if isinstance(source, str | Path):
            lines = read_lines(Path(source), KNOWN)
            self.remarks += lines.remarks
            columns = [plain_name(column) for column in lines.columns]
            self.marked = {plain_name(column) for column in lines.columns if column.rstrip(")] ").endswith("%")}
            self.located = [
                _Located(f"{self.shown}, line {line}", dict(zip(columns, cells, strict=True)))
                for line, cells in lines.cells
            ]
            self.columns = {column: column for column in columns if column}
            where = self.shown
        else:
            self.marked = set()
            self.located = list(_from_values(source))
            self.columns = {column: column for one in self.located for column in one.texts}
            where = "row 1"
        self.is_summary = self._is_summary()
        if self.columns or self.located:
            self._refuse_missing(where, self.columns)
        if not isinstance(source, str | Path):
            for one in self.located:
                self._refuse_missing(one.where, one.texts)

    def table(self) -> Table:
        if not self.located:
            raise StudyError(f"{self.shown} holds no results: a row is needed for every retrained network.")
        if any("," in text and values.has_decimal_comma(text) for one in self.located for text in one.texts.values()):
            self.remarks.append("Decimal commas were read as points.")
        self._spell_out()
        chance = self._chance()
        if self.is_summary:
            return self._summaries(chance)
        percent = self._percent("accuracy")
        located = [(one.where, self._row(one, percent)) for one in self.located]
        records = tuple(
            self._record(one.texts, row, percent) for one, (_, row) in zip(self.located, located, strict=True)
        )
        judged = self._unpruned_aside(located)
        rows = unique(judged)
        _refuse_orphans([(where, *row.place[:3], str(row)) for where, row in judged])
        return Table(self.name, rows, records=records, chance=chance, remarks=tuple(self.remarks))

    def _is_summary(self) -> bool:
        if any(split_plus_minus(one.texts.get(column, "")) for one in self.located for column in ("accuracy", "mean")):
            return True
        return "seed" not in self.columns and bool(self.columns.keys() & {"mean", *SPREAD_COLUMNS})

    def _refuse_missing(self, where: str, columns: Mapping[str, str]) -> None:
        wanted = SUMMARY if self.is_summary else REQUIRED
        spared = {"n_test": self.reading.n_test, "n": self.reading.runs}
        missing = [column for column in wanted if column not in columns and spared.get(column) is None]
        if "mean" in missing and "accuracy" in columns:
            missing.remove("mean")  # cells such as 92.33±0.21 stand under either name
        if "check" in missing and "check" not in self.columns and len(missing) < 3:
            missing.remove("check")  # a table of clean arms, to be compared with each other
        if not missing:
            return
        guess = nearest(missing[0], [column for column in columns if column not in KNOWN])
        there = ", ".join(printable(column) for column in columns)
        tail = f"There are: {there or 'none'}."
        if guess:
            tail = f"Is it {printable(guess)!r}? Call it {missing[0]!r}."
        elif missing[0] == "seed":
            tail = "Number the runs of every arm; or give columns mean, std and n, a row per arm."
        elif missing[0] == "n_test":
            tail = "Add the number of test examples, or give it: --n-test 10000 (n_test= in Python)."
        elif missing[0] == "n":
            tail = "Add the number of runs behind each mean, or give it: --runs 3 (runs= in Python)."
        raise StudyError(f"{where}: no column {missing[0]!r}. {tail}")

    def _spell_out(self) -> None:
        """`Dense` and `Clean` as `dense` and `clean`, with a remark; a row without a check column as a clean one."""
        if "check" not in self.columns:
            self.remarks.append("There is no column 'check': every row was taken for a clean arm.")
            for one in self.located:
                one.texts["check"] = CLEAN
        for column, word in (("method", DENSE), ("check", CLEAN)):
            spellings = {one.texts[column] for one in self.located if one.texts[column].lower() == word}
            if len(spellings) > 1:
                both = " and ".join(repr(printable(one)) for one in sorted(spellings))
                raise StudyError(f"{self.shown}: {column} is spelled {both}. Write {word!r} in every row.")
            for other in spellings - {word}:
                self.remarks.append(f"The {column} {printable(other)!r} was read as {word!r}.")
                for one in self.located:
                    if one.texts[column] == other:
                        one.texts[column] = word

    def _percent(self, column: str) -> bool:
        """Whether *column* is in percent: it says so, or the caller does, or no other reading is possible."""
        told = self.reading.percent
        numbers = [(one.where, one.texts.get(column, "")) for one in self.located]
        signs = [text.endswith("%") for _, text in numbers if text]
        if any(signs) and not all(signs):
            where = next(where for where, text in numbers if text and not text.endswith("%"))
            raise StudyError(f"{where}: {column} has no percent sign, but other rows have one. Write all alike.")
        says_so = column in self.marked or any(signs)
        if says_so and told is False:
            raise StudyError(f"{self.shown}: {column} has percent signs, but was said to be fractions.")
        if says_so or told is not None:
            return says_so or bool(told)
        known = [value for value in (_maybe(text) for _, text in numbers) if value is not None]
        if known and min(known) > 1 and max(known) <= 100:
            self.remarks.append(f"Every {column} is above 1: read as percent.")
            return True
        return False

    def _chance(self) -> float | None:
        found: dict[float, str] = {}
        for one in self.located:
            if not values.is_missing(one.texts, "classes"):
                found.setdefault(1 / values.whole(one.where, "classes", one.texts["classes"], least=2), one.where)
            if not values.is_missing(one.texts, "chance"):
                text = one.texts["chance"]
                value = values.fraction(one.where, "chance", text, percent=text.endswith("%"))
                found.setdefault(value, one.where)
        if len({round(value, 6) for value in found}) > 1:
            (_, first), (_, other), *_ = found.items()
            raise StudyError(f"{other}: chance accuracy differs from {first}. One table has one test set.")
        return next(iter(found), None)

    def _row(self, one: _Located, percent: bool) -> Row:
        where, texts = one
        method, check, sparsity = self._arm(one)
        return Row(
            method=method,
            check=check,
            sparsity=sparsity,
            seed=values.whole(where, "seed", texts["seed"]),
            accuracy=self._fraction(where, "accuracy", texts["accuracy"], percent),
            n_test=self._n_test(one),
            kept=None if values.is_missing(texts, "kept") else values.whole(where, "kept", texts["kept"], least=0),
            diverged=values.flag(where, texts, "diverged") or False,
            collapsed=values.flag(where, texts, "collapsed"),
            overlap=None
            if values.is_missing(texts, "overlap")
            else values.fraction(where, "overlap", texts["overlap"]),
            p_correct=self._other_metric(one, "p_correct"),
            brier=self._other_metric(one, "brier"),
            mask_epochs=self._epochs(one, "mask_epochs"),
            epochs=self._epochs(one, "epochs"),
        )

    def _epochs(self, one: _Located, column: str) -> float | None:
        # A column "epochs" of other programs may hold anything; beside mask_epochs it is that of results.csv.
        if "mask_epochs" not in self.columns or values.is_missing(one.texts, column):
            return None
        return values.between(one.where, column, one.texts[column], 0, MOST_EPOCHS)

    def _other_metric(self, one: _Located, column: Metric) -> float | None:
        text = one.texts.get(column, "")
        if values.is_missing(one.texts, column):
            return None
        if column == "brier":
            return values.between(one.where, column, text, -1, 1)
        return values.fraction(one.where, column, text, percent=text.endswith("%"))

    def _arm(self, one: _Located) -> tuple[str, str, float | None]:
        where, texts = one
        method = values.name_of(where, texts, "method")
        if method == DENSE:
            if not values.is_missing(texts, "check") and texts["check"] != CLEAN:
                raise StudyError(
                    f"{where}: the unpruned network 'dense' has no check {printable(texts['check'])!r}: nothing was "
                    "pruned that it could corrupt. Leave the check empty, or give this method another name."
                )
            return method, CLEAN, None
        check = values.name_of(where, texts, "check")
        if check == CLEAN and values.is_missing(texts, "sparsity"):
            return method, check, None
        return method, check, values.sparsity(where, texts["sparsity"])

    def _fraction(self, where: str, column: str, text: str, percent: bool) -> float:
        try:
            return values.fraction(where, column, text, percent=percent)
        except StudyError as error:
            if percent or "looks like percent" not in str(error):
                raise
            raise StudyError(f"{error} (Where all are percent: --percent, or percent=True in Python.)") from None

    def _n_test(self, one: _Located) -> int:
        if "n_test" not in one.texts and self.reading.n_test is not None:
            if self.reading.n_test < 1:
                raise StudyError(f"n_test {self.reading.n_test} must be at least 1.")
            return self.reading.n_test
        return values.whole(one.where, "n_test", one.texts["n_test"], least=1)

    def _unpruned_aside(self, located: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Without unpruned networks of other names: they are context (say, one trained longer), and judged nowhere."""
        located = list(located)
        aside = [row.method for _, row in located if row.method != DENSE and row.sparsity is None]
        if aside:
            rows = f"{len(aside)} row{'s' * (len(aside) > 1)}"
            names = ", ".join(printable(name) for name in dict.fromkeys(aside))
            dense = any(row.method == DENSE for _, row in located)
            hint = "" if dense else " The unpruned network is read where its method is called 'dense'."
            self.remarks.append(f"Not judged: {rows} without a sparsity ({names}).{hint}")
        judged = [(where, row) for where, row in located if row.method == DENSE or row.sparsity is not None]
        if not judged:
            raise StudyError(f"{self.shown} holds no results of pruned networks: every row lacks a sparsity.")
        return judged

    def _record(self, texts: Mapping[str, str], row: Row, percent: bool) -> dict[str, Any]:
        core = {field.name: getattr(row, field.name) for field in fields(Row)}
        record = {column: _plain(text) for column, text in texts.items() if column}
        if percent:
            record |= {c: record[c] / 100 for c in _ALSO_FRACTIONS if isinstance(record.get(c), (int, float))}
        return record | {name: value for name, value in core.items() if name in texts or name in REQUIRED}

    def _summaries(self, chance: float | None) -> Table:
        column = "mean" if "mean" in self.columns else "accuracy"
        spreads = [name for name in SPREAD_COLUMNS if name in self.columns]
        if len(spreads) > 1:
            raise StudyError(f"{self.shown}: columns {spreads[0]!r} and {spreads[1]!r} both give a spread. Keep one.")
        own = spreads[0] if spreads else "spread"
        for one in self.located:
            both = split_plus_minus(one.texts[column])
            if both and spreads and not values.is_missing(one.texts, own):
                raise StudyError(f"{one.where}: {column} holds a ± and there is a column {own!r}. Keep one.")
            if both:
                one.texts[column], one.texts[own] = both
        spread = self._spread_kind(spreads[0] if spreads else None)
        percent = self._percent(column)
        steps = {
            name: last_digits(one.texts.get(name, "") for one in self.located if _maybe(one.texts.get(name, "")))
            for name in (column, own)
        }
        located = [(one.where, self._summary(one, column, own, percent, spread, steps)) for one in self.located]
        judged = self._unpruned_aside(located)
        summaries = unique_summaries(judged)
        _refuse_orphans([(where, *one.place, str(one)) for where, one in judged])
        return Table(self.name, (), summaries, chance=chance, remarks=tuple(self.remarks))

    def _spread_kind(self, column: str | None) -> Spread:
        named = SPREAD_COLUMNS[column] if column else None
        told = self.reading.spread
        if named == "se" and told not in (None, "se"):
            raise StudyError(
                f"{self.shown}: column {column!r} is a standard error, but the spread was said to be {told}."
            )
        if told is None and named != "se":
            what = f"The column {column!r}" if column else "What stands after ±"
            self.remarks.append(
                f"{what} was read as the sample standard deviation (divisor n - 1); --spread population (divisor n, "
                "the default of numpy) or se (standard error) where it is something else."
            )
        return told or named or "std"

    def _summary(
        self,
        one: _Located,
        column: str,
        own: str,
        percent: bool,
        spread: Spread,
        steps: Mapping[str, Mapping[str, float]],
    ) -> Summary:
        where, texts = one
        method, check, sparsity = self._arm(one)
        mean = 100 * self._fraction(where, column, texts[column], percent)
        points = 1.0 if percent else 100.0
        runs = texts.get("n", "")
        if "n" not in texts and self.reading.runs is not None:
            runs = str(self.reading.runs)
        n = values.whole(where, "n", runs, least=1)
        text = texts.get(own, "")
        sd = None
        if not values.is_missing(texts, own):
            sd = sample_sd(where, values.positive(where, own, text.removesuffix("%").rstrip()) * points, n, spread)
        if sd is not None and sd > 100 * math.sqrt(n):
            raise StudyError(
                f"{where}: a spread of {sd:g} points is more than accuracies can have: percent or fractions?"
            )
        step = steps[own].get(text, 0.0) * points
        return Summary(
            method=method,
            check=check,
            sparsity=sparsity,
            mean=mean,
            mean_step=steps[column].get(texts[column], 0.0) * points,
            sd=sd,
            sd_step=(sample_sd(where, step, n, spread) or 0.0) if sd is not None else 0.0,
            n=n,
            n_test=self._n_test(one),
        )


def _shown(source: Source) -> str:
    return printable_path(source) if isinstance(source, str | Path) else "the list of rows"


def _from_values(source: Source) -> Iterable[_Located]:
    for number, value in enumerate(records_of(source), start=1):
        where = f"row {number}"
        if isinstance(value, Row):
            value = {field.name: getattr(value, field.name) for field in fields(Row)}
        if not isinstance(value, Mapping):
            raise StudyError(f"{where} is neither a Row nor a dict with {', '.join(REQUIRED)}.")
        texts: dict[str, str] = {}
        for key, cell in value.items():
            column = plain_name(str(key))
            if column in texts and column in KNOWN:
                raise StudyError(f"{where}: two columns are called {column!r}: delete or rename one of them.")
            texts[column] = "" if cell is None else str(cell).strip()
        yield _Located(where, texts)


def _refuse_orphans(arms: Sequence[tuple[str, str, str, float, str]]) -> None:
    clean = {(method, sparsity) for _, method, check, sparsity, _ in arms if check == CLEAN}
    for where, method, _, sparsity, shown in arms:
        if method != DENSE and (method, sparsity) not in clean:
            raise StudyError(
                f"{where}: {shown} has nothing to be compared with: no row with check {CLEAN!r} "
                f"for this method and sparsity."
            )


def _maybe(text: str) -> float | None:
    """The finite number a text stands for, a percent sign left out; None where it is none."""
    try:
        value = values.number("", "", text.removesuffix("%").rstrip())
    except StudyError:
        return None
    return value if math.isfinite(value) else None


def _plain(text: str) -> Any:
    """A cell nothing is known of: a number as a number, true as True, nothing as None."""
    if text.lower() in values.MISSING:
        return None
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
