"""The verdict on a terminal: readable without colour, harmless whatever the names contain."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prunecheck.reporting.answers import answers, clean_accuracies, general_notes, lead_sentence, study_remarks
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.export import verdict_table
from prunecheck.reporting.text import ASCII_SYMBOLS, CONTROL_ANSWERS, MEANINGS, STYLES
from prunecheck.reporting.views import margin_text
from prunecheck.statistics.outcome import SYMBOLS, StudyVerdict, controls_sentence, intervals_sentence
from prunecheck.text import counted, printable, printable_line

COLOURS = {"depends": "blue", "not": "dark_orange3", "open": "default", "mute": "dim"}
WIDTH = 100
MOST_REMARKS = 3


def print_verdict(
    verdict: StudyVerdict,
    console: Console,
    data: ReportData | None = None,
    more: str = "in the report",
    given: Collection[str] = (),
) -> None:
    """What was trained, the leads, one line per method, the table of checks, the controls and the remarks.

    *data*: the report's data, where the verdict has one: it knows what was trained and the accuracies. *more*: where
    all remarks are. *given*: remarks that stand on the same screen already.
    A *console* that is no terminal is widened to 100 columns, so that logs hold whole lines.
    """
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    width = console.width
    data = data or ReportData(verdict.study, (), verdict)
    what = f"{printable_line(data.trained)}; " if data.trained else ""
    title = f"{printable(verdict.study)}: {what}margin {margin_text(verdict)}"
    _print(console, Text(title, style="bold"), width)
    if verdict.banner:
        _print(console, Text("A control failed. " + printable_line(verdict.banner), style="bold red"), width)
    clean = clean_accuracies(data)
    for one in verdict.comparisons:
        pair = f"{printable(one.first)} against {printable(one.second)}"
        _print_answer(console, one.verdict, pair, lead_sentence(one, clean, verdict.metric))
    for answer in answers(data):
        if answer.verdict is not None:
            _print_answer(console, answer.verdict, printable(answer.method), answer.sentence)
            if answer.verdict in ("INCONCLUSIVE", "UNINFORMATIVE") and answer.notes:
                _print(console, Text(printable_line(answer.notes), style="dim"), width)
    if verdict.checks:
        console.print()
        console.print(_table(verdict, console, width), width=width)
    if legend := intervals_sentence(verdict):
        _print(console, Text(legend, style="dim"), width)
    if any(c.verdict == "UNINFORMATIVE" for c in verdict.checks):
        _print(console, Text(f"Uninformative: {MEANINGS['UNINFORMATIVE']}.", style="dim"), width)
    _print(console, Text(controls_sentence(verdict)), width)
    for line in _remarks(data, more, given):
        _print(console, Text(printable_line(line), style="dim"), width)


def _print_answer(console: Console, verdict: str, name: str, sentence: str) -> None:
    begin = (f"{_symbol(console, verdict)} {name}: {verdict.lower()}. ", _style(verdict))
    _print(console, Text.assemble(begin, printable_line(sentence)), console.width)


def _remarks(data: ReportData, more: str, given: Collection[str] = ()) -> list[str]:
    """At most three, without those *given*: controls that failed or are weak, remarks on the study, then its design and
    error rates."""
    controls = [c.sentence for status in ("failed", "weak") for c in data.verdict.controls if c.status == status]
    found = dict.fromkeys([*controls, *study_remarks(data), *general_notes(data.verdict)])
    every = [line for line in found if line not in given]
    if len(every) <= MOST_REMARKS:
        return every
    rest = len(every) - MOST_REMARKS + 1
    return [*every[: MOST_REMARKS - 1], f"{counted(rest, 'more remark')} {more}."]


def _table(verdict: StudyVerdict, console: Console, width: int) -> Table:
    """Methods x checks where that fits, else one line per method and check."""
    matrix = verdict_table(verdict)
    needed = sum(max(len(row[i]) for row in matrix) + 4 for i in range(len(matrix[0])))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    words = CONTROL_ANSWERS | {c.verdict.lower(): c.verdict for c in verdict.checks}
    heads = matrix[0] if needed <= width else ["method", "check", "verdict"]
    for head in heads:
        table.add_column(Text(head), overflow="fold")
    for method, *cells in matrix[1:]:
        shown = [_cell(cell, words, console) for cell in cells]
        if needed <= width:
            table.add_row(Text(method), *shown)
            continue
        run = [(check, cell) for check, cell, text in zip(matrix[0][1:], shown, cells, strict=True) if text]
        for i, (check, cell) in enumerate(run):
            table.add_row(Text(method if i == 0 else ""), Text(check), cell)
    return table


def _cell(cell: str, words: dict[str, str], console: Console) -> Text:
    word, _, rest = cell.partition("  ")
    if not word:
        return Text("not run", style="dim")
    answer = words[word]
    padded = f"{_symbol(console, answer)} {word:<15}" if rest else f"{_symbol(console, answer)} {word}"
    return Text.assemble((padded, _style(answer)), f"  {rest}" if rest else "")


def _symbol(console: Console, answer: str) -> str:
    unicode = (console.encoding or "").lower().startswith("utf")
    return (SYMBOLS if unicode else ASCII_SYMBOLS)[answer]


def _style(answer: str) -> str:
    return COLOURS[STYLES[answer]]


def _print(console: Console, text: Text, width: int) -> None:
    console.print(text, width=width, overflow="fold", soft_wrap=False)
