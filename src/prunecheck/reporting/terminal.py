"""The verdict on a terminal: readable without colour, harmless whatever the names contain."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prunecheck.reporting.export import verdict_table
from prunecheck.reporting.text import ASCII_SYMBOLS, MEANINGS, STYLES
from prunecheck.reporting.views import answers, controls_sentence, leads, margin_text
from prunecheck.statistics.outcome import SYMBOLS, StudyVerdict, interval_name
from prunecheck.text import printable, printable_line

COLOURS = {"depends": "blue", "not": "dark_orange3", "open": "default", "mute": "dim"}
STATUS = {"ok": "PASSES", "failed": "FAILS", "weak": "INCONCLUSIVE", "missing": "UNINFORMATIVE"}
WIDTH = 100


def print_verdict(verdict: StudyVerdict, console: Console, trained: str = "") -> None:
    """Banner, one sentence per method, the table methods x checks, controls that are not ok.

    *trained*: network, data set and epochs, for the first line.

    A *console* that is no terminal is widened to 100 columns, so that logs hold whole lines.
    """
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    width = console.width
    what = f"{printable_line(trained)}; " if trained else ""
    title = f"{printable(verdict.study)}: {what}margin {margin_text(verdict)}"
    _print(console, Text(title, style="bold"), width)
    if verdict.banner:
        _print(console, Text("A control failed. " + printable_line(verdict.banner), style="bold red"), width)
    for method, sentence in answers(verdict):
        answer = Text.assemble(
            (
                f"{_symbol(console, method.verdict)} {printable(method.method)}: {method.verdict.lower()}. ",
                _style(method.verdict),
            ),
            printable_line(sentence),
        )
        _print(console, answer, width)
    for comparison, sentence in leads(verdict):
        pair = f"{printable(comparison.first)} against {printable(comparison.second)}"
        judged = f"{_symbol(console, comparison.verdict)} {pair}: {comparison.verdict.lower()}. "
        _print(console, Text.assemble((judged, _style(comparison.verdict)), printable_line(sentence)), width)
    if verdict.checks:
        console.print()
        console.print(_table(verdict, console, width), width=width)
        _print(console, Text(f"Mean drop in points [{interval_name(verdict)}].", style="dim"), width)
        if any(c.verdict == "UNINFORMATIVE" for c in verdict.checks):
            _print(console, Text(f"Uninformative: {MEANINGS['UNINFORMATIVE']}.", style="dim"), width)
    _print(console, Text(controls_sentence(verdict)), width)
    for control in [c for c in verdict.controls if c.status != "ok"]:
        mark = _symbol(console, STATUS[control.status])
        _print(console, Text(f"{mark} control {control.status}: {printable_line(control.sentence)}"), width)
    for note in [note for note in verdict.notes if not note.startswith("(unguarded)")]:  # said by its control
        _print(console, Text(printable_line(note), style="dim"), width)


def _table(verdict: StudyVerdict, console: Console, width: int) -> Table:
    """Methods x checks where that fits, else one line per method and check."""
    matrix = verdict_table(verdict)
    needed = sum(max(len(row[i]) for row in matrix) + 4 for i in range(len(matrix[0])))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    words: dict[str, str] = {c.verdict.lower(): c.verdict for c in verdict.checks}
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
