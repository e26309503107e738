"""Figures for print, drawn with matplotlib: SVG, PDF and PNG with equal bytes for equal data."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck.errors import StudyError
from prunecheck.reporting import figures
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.language import LanguageReport
from prunecheck.reporting.scales import effects_axis, plain_tick
from prunecheck.reporting.summary import arms, order
from prunecheck.statistics.outcome import INSTRUMENT_CONTROLS, Cell, headline
from prunecheck.statistics.rows import METRIC_NAMES, unit
from prunecheck.store.durable import plainly, write_file
from prunecheck.text import percent, points, printable, unknown

if TYPE_CHECKING:
    from prunecheck.statistics.language import LanguageVerdict

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError:
    raise StudyError(
        "figures for print need matplotlib, which is not installed: pip install 'prunecheck[paper]'"
    ) from None

FORMATS = ("svg", "pdf", "png")
COLOURS = ("black", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#8c564b")
SHAPES = "os^Dv*Xp"
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "savefig.bbox": "tight",
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "prunecheck",
    "text.parse_math": False,
}
MOST_COLUMNS = 3
"""panels in a row"""
LEGEND_ROW = 0.17
"""inches that a row of the legend takes; room for two is in the height of the panels"""
NO_DATES = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


class Drawing(Figure):
    """A figure that is displayed as the last line of a cell without pyplot."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=120, bbox_inches="tight")
        return picture.getvalue()


def write_figures(data: ReportData, folder: Path, formats: Iterable[str] = ("pdf",)) -> list[Path]:
    """Draw accuracy, keep-shares and effects into *folder*; the files written. Figures without data are not drawn.

    The same data and versions give the same bytes. Raises StudyError for an unknown format, StoreError where
    the disk refuses.
    """
    wanted = checked_formats(formats)
    written = []
    with _style():
        for title, drawing in DRAWINGS.items():
            figure = drawing(data)
            if figure is None:
                continue
            written += [_save(figure, folder, title, one) for one in wanted]
    return written


def write_language_figures(verdict: LanguageVerdict, folder: Path, formats: Iterable[str] = ("pdf",)) -> list[Path]:
    """Draw ``effects`` of a study of language models into *folder*; the files written. See ``write_figures``."""
    wanted = checked_formats(formats)
    with _style():
        figure = _language_effects(verdict)
        return [_save(figure, folder, "effects", one) for one in wanted] if figure is not None else []


def draw(data: ReportData | LanguageReport, title: str) -> Figure:
    """One of the figures, by the name of its file: ``accuracy``, ``keep-shares`` or ``effects``; of language models
    ``effects``.

    Raises StudyError for other names, and where the data holds nothing to draw.
    """
    if title not in (names := ("effects",) if isinstance(data, LanguageReport) else tuple(DRAWINGS)):
        raise StudyError(unknown("figure of this study", title, names))
    with _style():
        figure: Figure | None = (
            _language_effects(data.verdict) if isinstance(data, LanguageReport) else DRAWINGS[title](data)
        )
    if figure is None:
        raise StudyError(f"there is nothing to draw in the figure {title!r} of {printable(data.name)}.")
    return figure


def checked_formats(formats: Iterable[str]) -> list[str]:
    """*formats*, each once. Raises StudyError for one that is not of ``FORMATS``."""
    wanted = list(dict.fromkeys(formats))
    for one in wanted:
        if one not in FORMATS:
            raise StudyError(unknown("figure format", one, FORMATS))
    return wanted


@contextmanager
def _style() -> Iterator[None]:
    with rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, without a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield


def _accuracy(data: ReportData) -> Any:
    """One panel per method: mean accuracy of every arm against sparsity, bars to the extreme seeds."""
    found = figures.accuracy(arms(data), order(data), data.verdict)
    if found is None:
        return None
    figure, axes = _panels(len(found.panels))
    for panel, ax in zip(found.panels, axes, strict=True):
        for series in panel.series:
            means = [100 * point.y for point in series.points]
            # the mean of equal numbers can lie outside them by a rounding error, and matplotlib refuses bars below 0
            below = [max(0.0, 100 * (p.y - p.low)) for p in series.points if p.low is not None]
            above = [max(0.0, 100 * (p.high - p.y)) for p in series.points if p.high is not None]
            places = [point.x for point in series.points]
            ax.errorbar(places, means, yerr=[below, above], label=_plain(series.name), **_line_style(series))
        ax.set_title(_plain(panel.title))
        ax.set_xticks([value for value, _ in panel.x.ticks], [text for _, text in panel.x.ticks])
        ax.set_xlim(-0.5, len(order(data).sparsities) - 0.5)
        ax.set_xlabel(panel.x.title)
        if panel.level is not None:
            ax.axhline(100 * panel.level, color="grey", linestyle=":", linewidth=1)
    _label_y(figure, axes, "test accuracy (%)")
    _legend(figure, axes[0])
    return figure


def _keep_shares(data: ReportData) -> Any:
    """One panel per sparsity: kept share of every layer, clean masks beside smart ratio and ERK."""
    found = figures.keep_shares(data, order(data))
    if found is None:
        return None
    figure, axes = _panels(len(found.panels))
    for panel, ax in zip(found.panels, axes, strict=True):
        for series in panel.series:
            shares = [100 * point.y if point.y else float("nan") for point in series.points]  # log axis: no zeros
            ax.plot([point.x for point in series.points], shares, label=_plain(series.name), **_line_style(series))
        ax.set_title(panel.title)
        ax.set_xlabel(panel.x.title)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
    _label_y(figure, axes, "weights kept (%)")
    _legend(figure, axes[0])
    return figure


def _effects(data: ReportData) -> Any:
    """Mean drop and interval of every method x check, over the margin band."""
    verdict = data.verdict
    heads = [(c, headline(c)) for c in verdict.checks if c.control not in INSTRUMENT_CONTROLS]
    rows = [(f"{_plain(c.method)}, {_plain(c.check)}", c.verdict, cell) for c, cell in heads if cell is not None]
    return _intervals(rows, f"drop in {METRIC_NAMES[verdict.metric]} ({unit(verdict.metric)})")


def _language_effects(verdict: LanguageVerdict) -> Any:
    """Mean difference and interval of every method x check x sparsity, each over the band of its margin."""
    several = len(verdict.margins) > 1
    rows = [
        (
            f"{_plain(check.method)}, {_plain(check.check)}{f', {percent(cell.sparsity)}' if several else ''}",
            cell.verdict,
            cell,
        )
        for check in verdict.checks
        if check.control != "aa"
        for cell in check.cells
    ]
    return _intervals(rows, "increase in nats per token")


def _intervals(rows: Sequence[tuple[str, str, Cell]], axis: str) -> Any:
    """One line for each of *rows*, (label, verdict, cell): mean and interval over the band of its margin; None where
    nothing is known."""
    drawn = [row for row in rows if not (math.isnan(row[2].low) or math.isnan(row[2].high))]
    if not drawn:
        return None
    figure, (ax,) = _panels(1, height=0.5 + 0.17 * len(drawn), width=4.2)
    margins = [cell.margin for _, _, cell in drawn]
    if len(set(margins)) == 1:
        ax.axvspan(-margins[0], margins[0], color="0.92")
    else:
        ax.barh(range(len(drawn)), [2 * m for m in margins], left=[-m for m in margins], height=1, color="0.92")
    ax.axvline(0, color="0.6", linewidth=0.8)
    colours = {"DEPENDS": COLOURS[1], "DOES NOT DEPEND": COLOURS[2]}
    for place, (_, answer, cell) in enumerate(drawn):
        colour = colours.get(answer, "0.4")
        bars = [[max(0.0, cell.mean_drop - cell.low)], [max(0.0, cell.high - cell.mean_drop)]]
        filled = colour if answer == "DEPENDS" else "white"
        ax.errorbar([cell.mean_drop], [place], xerr=bars, fmt="o", color=colour, markerfacecolor=filled, elinewidth=1.2)
    ax.set_yticks(range(len(drawn)), [label for label, _, _ in drawn])
    ax.set_ylim(len(drawn) - 0.4, -0.6)
    scale = effects_axis(min(margins), [bound for _, _, cell in drawn for bound in (cell.low, cell.high)])
    ax.set_xscale("asinh", linear_width=scale.margin)
    ax.set_xlim(scale.low, scale.high)
    ticks = scale.ticks(apart=0.11)
    ax.set_xticks(ticks, [plain_tick(tick) for tick in ticks])
    ax.minorticks_off()
    band = f"margin {points(margins[0])}" if len(set(margins)) == 1 else "margin at that sparsity"
    ax.set_xlabel(f"{axis}; band: {band}")
    return figure


DRAWINGS: dict[str, Callable[[ReportData], Any]] = {
    "accuracy": _accuracy,
    "keep-shares": _keep_shares,
    "effects": _effects,
}


def _panels(n: int, height: float = 2.1, width: float = 2.2) -> tuple[Any, list[Any]]:
    """*n* axes that share their y axis, at most three in a row; no global state of matplotlib is touched."""
    columns = min(n, MOST_COLUMNS)
    rows = -(-n // columns)
    figure = Drawing(figsize=(width * columns, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for spare in axes[n:]:
        spare.remove()
    return figure, axes[:n]


def _label_y(figure: Any, axes: Sequence[Any], title: str) -> None:
    """One title for the y axes of all rows. The figure's own is centred on the legend too, so one row does without."""
    if len(axes) <= MOST_COLUMNS:
        axes[0].set_ylabel(title, fontsize=8)
    else:
        figure.supylabel(title, fontsize=8)


def _legend(figure: Any, ax: Any) -> None:
    """The legend below the panels; the figure grows by it, so that many names take no height from the panels."""
    handles, labels = ax.get_legend_handles_labels()
    columns = min(2 if len(figure.axes) == 1 else 4, max(1, len(labels)))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LEGEND_ROW * max(0, -(-len(labels) // columns) - 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _line_style(series: figures.Series) -> dict[str, object]:
    i = series.kind
    if series.reference:
        return {"color": "0.6", "linewidth": 3, "linestyle": "-" if i == 0 else ":", "zorder": 1}
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": SHAPES[i % len(SHAPES)],
        "linestyle": ("-", "--", ":")[i % 3],
        "linewidth": 1.8 if i == 0 else 1.1,
    }


def _plain(text: str) -> str:
    """A name as a label; a leading underscore would hide it from the legend."""
    return printable(text, 32).replace("_", " ").strip() or "unnamed"


def _save(figure: Any, folder: Path, title: str, form: str) -> Path:
    path = folder / f"{title}.{form}"
    picture = io.BytesIO()
    figure.savefig(picture, format=form, metadata=NO_DATES[form])
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(path, picture.getvalue())
    return path
