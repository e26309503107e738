"""What the page says, section by section, as strings and small records; the template only places them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunecheck.reporting.check_names import check_name
from prunecheck.reporting.data import REFERENCES, LayerTable, ReportData
from prunecheck.reporting.figures import clean_layer_tables
from prunecheck.reporting.scales import Effects, effects_axis
from prunecheck.reporting.strips import by_seed, strip
from prunecheck.reporting.summary import Arm, Order, is_number, seeds
from prunecheck.reporting.text import (
    MEANINGS,
    STYLES,
    effect,
    fraction,
    probability,
    remarks,
    share,
    sparsity_name,
    whole,
)
from prunecheck.statistics.outcome import (
    CONTROL_NAMES,
    INSTRUMENT_CONTROLS,
    SYMBOLS,
    Cell,
    CheckVerdict,
    Control,
    MethodVerdict,
    StudyVerdict,
    control_status,
    headline,
)
from prunecheck.statistics.rows import unit_name
from prunecheck.text import counted, decimal, listing, percent, points, printable

RAW_ROWS = 500
TABLE_ROWS = 400
LISTED_SEEDS = 20
METRICS_IN_WORDS = {
    "p_correct": "the mean probability that a network gives to the right class",
    "brier": "1 minus the squared distance of the class probabilities from the truth",
    "nll": "the mean over documents of the negative log-likelihood per token (more is worse)",
}
CONTROL_STATES = {
    "ok": ("ok", "✓", "control ok"),
    "failed": ("not", "✗", "control failed"),
    "weak": ("open", "◐", "control weak"),
    "missing": ("mute", "–", "control not run"),
}
"""status -> colour, symbol, word: a control that is fine never has the colour of a failure"""


@dataclass(frozen=True)
class CellView:
    """One line of the opened data of a check."""

    label: str
    cell: Cell
    drawing: str
    effect: str
    numbers: tuple[tuple[str, str], ...]
    seeds: str
    remarks: str


@dataclass(frozen=True)
class CheckView:
    """One method x check: its cell in the table of answers and its opened evidence.

    ``css``, ``mark`` and ``word`` give the verdict; of a check that tests the study itself, the state of that control.
    """

    anchor: str
    check: CheckVerdict
    css: str
    mark: str
    word: str
    role: str
    sentence: str
    effect: str
    drawing: str
    cells: tuple[CellView, ...]
    words: str
    remarks: str


@dataclass(frozen=True)
class Table:
    """A table ready to print. ``left_out``: rows beyond the cap, which results.csv has."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0

    @property
    def text(self) -> tuple[bool, ...]:
        """Which columns hold words (set left), judged by their first filled cell; the others hold numbers."""
        firsts = [next((row[i] for row in self.rows if row[i] not in ("", "n/a")), "") for i in range(len(self.heads))]
        return tuple(not re.match(r"[+\-<]?\s?\d", first) for first in firsts)


def question(data: ReportData, known: Order) -> str:
    """The question of the study file, or a general one."""
    if data.question.strip():
        return data.question
    tried, checks = methods_under_test(data.verdict), matrix_checks(data.verdict, known)
    subject = f"Does {printable(tried[0].method)}" if len(tried) == 1 else f"Do {counted(len(tried), 'pruning method')}"
    what = f"{printable(checks[0])} destroys" if len(checks) == 1 else f"{counted(len(checks), 'check')} destroy"
    return f"{subject} depend on what {what}?"


def methods_under_test(verdict: StudyVerdict) -> list[MethodVerdict]:
    """The methods that are judged; reference methods and controls only where there is nothing else."""
    return [m for m in verdict.methods if m.role is None] or list(verdict.methods)


def facts(data: ReportData, known: Order) -> list[tuple[str, str]]:
    """The study in a few numbers. What was trained stands above them."""
    verdict = data.verdict
    one = len(known.sparsities) == 1
    found = [("sparsity" if one else "sparsities", ", ".join(percent(s) for s in known.sparsities[:6]) or "n/a")]
    found.append(("seeds", seed_counts(data)))
    found.append(("margin", margin_text(verdict)))
    if verdict.dense_accuracy is not None:
        found.append(("dense accuracy", share(verdict.dense_accuracy)))
    found.append(("test examples", whole(verdict.n_test)))
    return found


def seed_counts(data: ReportData) -> str:
    """``5``, or ``3 to 10`` where the number of seeds differs between comparisons."""
    pairs = {cell.n for c in data.verdict.checks if c.control not in INSTRUMENT_CONTROLS for cell in c.cells}
    if len(pairs) > 1:
        return f"{whole(min(pairs))} to {whole(max(pairs))}"
    if not data.rows and pairs:  # a table of means has no rows of single runs
        return whole(min(pairs))
    return whole(len(seeds(data.rows)))


def command(data: ReportData) -> str:
    """The command that reproduces the study: the one that ran it, or the plain one where its study file is known."""
    return data.command or ("prunecheck run study.toml" if data.study_toml else "")


def procedure(verdict: StudyVerdict) -> str:
    """How the margin was set and what passing means, in one paragraph."""
    rule = verdict.margin_rule.strip().rstrip(".")
    parts = [
        f"A drop counts when it exceeds the margin of {points(verdict.margin)} {unit_name(verdict.metric)}.",
        f"{rule}." if rule else "",
    ]
    if verdict.metric in METRICS_IN_WORDS:
        parts.append(f"{verdict.metric} is {METRICS_IN_WORDS[verdict.metric]}.")
    parts.append("A method passes when it depends on everything the checks destroy.")
    return " ".join(filter(None, parts))


def margin_text(verdict: StudyVerdict) -> str:
    """``0.841 points``; of which metric, where it is not accuracy, and whether means were judged instead of runs."""
    return f"{points(verdict.margin)} {unit_name(verdict.metric)}" + (
        " (summary, unpaired)" if verdict.basis == "summaries" else ""
    )


def tally(verdict: StudyVerdict) -> str:
    """One sentence over all methods, for the description of the page."""
    parts = []
    tried = methods_under_test(verdict)
    for answer, verb in (
        ("PASSES", "pass"),
        ("FAILS", "fail"),
        ("INCONCLUSIVE", "stay open"),
        ("UNINFORMATIVE", "cannot be judged"),
    ):
        n = sum(m.verdict == answer for m in tried)
        if n:
            parts.append(f"{whole(n)} {verb}")
    return f"Of {counted(len(tried), 'method')}, {listing(parts)}." if parts else ""


def meanings(verdict: StudyVerdict) -> dict[str, str]:
    """The answers that occur in the table of answers, with their meaning."""
    shown = {check.verdict for check in verdict.checks} | {one.verdict for one in verdict.comparisons}
    return {answer: meaning for answer, meaning in MEANINGS.items() if answer in shown}


def axis(verdict: StudyVerdict) -> Effects:
    """The one axis of every strip: it holds all drops, bounds and differences of the study."""
    values: list[float] = []
    for check in verdict.checks:
        for cell in [*check.cells, *([check.pooled] if check.pooled else [])]:
            values += [cell.mean_drop, cell.low, cell.high, *cell.differences.values()]
    return effects_axis(verdict.margin, values)


def check_views(verdict: StudyVerdict, known: Order, words: Mapping[str, str]) -> dict[tuple[str, str], CheckView]:
    """(method, check) -> its view, in the report's order. Anchors are numbers, never names."""
    scale = axis(verdict)
    ordered = sorted(verdict.checks, key=lambda c: known.place(c.method, c.check, 0.0))
    return {
        (c.method, c.check): _check_view(i, c, scale, words.get(c.check, ""), verdict.controls)
        for i, c in enumerate(ordered)
    }


def _check_view(i: int, check: CheckVerdict, scale: Effects, words: str, controls: Sequence[Control]) -> CheckView:
    head, status = headline(check), control_status(check, controls)
    css, mark, word = CONTROL_STATES[status] if status else (STYLES[check.verdict], SYMBOLS[check.verdict], "")
    colour = css if status else ""
    cells = [_cell_view(cell, scale, colour) for cell in check.cells]
    if check.pooled is not None and len(check.cells) > 1:
        cells.append(_cell_view(check.pooled, scale, colour, "mean"))
    sentence = check.sentence.removeprefix(f"{check.method} x {check.check}: ")
    place = check.control, check.method, check.check
    if status and (own := [c.sentence for c in controls if (c.role, c.method, c.check) == place]):
        sentence = " ".join(own)  # the verdict of a check that tests the study itself would mislead
    return CheckView(
        f"check-{i}",
        check,
        css,
        mark,
        word or check.verdict.lower(),
        CONTROL_NAMES[check.control] if status and check.control else "",
        sentence,
        effect(head),
        strip(head, scale, colour) if head else "",
        tuple(cells),
        words,
        remarks(check.notes, sentence),
    )


def _cell_view(cell: Cell, scale: Effects, colour: str, label: str = "") -> CellView:
    numbers = (
        ("interval", percent(1 - cell.low_level - cell.high_level)),
        ("p, depends", probability(cell.p_depends)),
        ("p, does not", probability(cell.p_not)),
        ("sd of differences", decimal(cell.sd)),
        ("moderated sd", f"{decimal(cell.borrowed_sd)} (d0 {decimal(cell.d0, 1)})"),
        ("noise floor", decimal(cell.floor_sd)),
        ("break-even margin", decimal(cell.break_even)),
        ("clean wins", share(cell.win_share, 0)),
        ("seeds needed", "n/a" if cell.seeds_needed is None else whole(cell.seeds_needed)),
        *([] if cell.limit is None else [("larger differences count as", decimal(cell.limit))]),
    )
    where = label or sparsity_name(cell.sparsity)
    seeds = by_seed(cell, LISTED_SEEDS)
    return CellView(
        where, cell, strip(cell, scale, colour), effect(cell), numbers, seeds, remarks(cell.notes, cell.sentence)
    )


def matrix_checks(verdict: StudyVerdict, known: Order) -> list[str]:
    """The columns of the matrix: every check but those only controls use."""
    shown = {c.check for c in verdict.checks if c.control not in INSTRUMENT_CONTROLS}
    return [c for c in known.checks if c in shown]


def accuracy_table(arms: Sequence[Arm]) -> Table:
    rows = [
        (
            a.method,
            check_name(a.check),
            percent(a.sparsity),
            share(a.mean, 2),
            share(a.low, 2),
            share(a.high, 2),
            whole(a.n),
        )
        for a in arms
    ]
    heads = ("method", "check", "sparsity", "mean accuracy", "lowest", "highest", "seeds")
    return capped(heads, rows)


def layer_tables(data: ReportData, known: Order) -> list[tuple[str, Table]]:
    """For every sparsity one row per layer, one column per allocation; kept share and kept weights in each cell."""
    tables = clean_layer_tables(data)
    methods = [m for m in (*known.methods, *REFERENCES) if any(t.method == m for t in tables)]
    views = []
    for sparsity in sorted({t.sparsity for t in tables}):
        here = {t.method: t for t in tables if t.sparsity == sparsity}
        shown = [here[m] for m in dict.fromkeys(methods) if m in here]
        longest = max(shown, key=lambda t: len(t.names))
        rows = [
            (layer, whole(longest.weights[i]), *[_layer_cell(t, i) for t in shown])
            for i, layer in enumerate(longest.names)
        ]
        heads = ("layer", "weights", *[t.method for t in shown])
        views.append((percent(sparsity), capped(heads, rows)))
    return views


def _layer_cell(table: LayerTable, i: int) -> str:
    if i >= len(table.names):
        return ""
    return f"{fraction(table.shares()[i])} ({whole(table.kept[i])})"


def overlap_table(data: ReportData, known: Order) -> Table | None:
    """The mask tier: overlap with the clean mask beside the overlap of chance."""
    if not data.overlaps:
        return None
    ordered = sorted(data.overlaps, key=lambda o: known.place(o.method, o.check, o.sparsity))
    rows = []
    for o in ordered:
        correlation = decimal(o.counts_correlation)
        rows.append(
            (
                o.method,
                check_name(o.check),
                percent(o.sparsity),
                decimal(o.iou, 3),
                decimal(o.chance_iou, 3),
                share(o.above_chance, 0),
                correlation,
                o.note,
            )
        )
    heads = ("method", "check", "sparsity", "overlap (IoU)", "by chance", "above chance", "counts correlation", "note")
    if not any(row[-1] for row in rows):
        return capped(heads[:-1], [row[:-1] for row in rows])
    return capped(heads, rows)


def raw_table(data: ReportData, columns: Iterable[str]) -> Table:
    """The first rows of results.csv as they are."""
    heads = tuple(columns)
    rows = [tuple(raw_text(row.get(head)) for head in heads) for row in data.rows[:RAW_ROWS]]
    return Table(heads, tuple(rows), len(data.rows) - len(rows))


def raw_text(value: object) -> str:
    """One value of a row as text; the same in the page and in the CSV, but for the CSV's guards."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value) and isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ";".join(str(v) for v in value)
    return str(value)


def capped(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    """A table of at most ``TABLE_ROWS`` rows, which says how many it left out."""
    return Table(heads, tuple(rows[:TABLE_ROWS]), max(0, len(rows) - TABLE_ROWS))
