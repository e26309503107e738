"""The results of a study, with its cost, and their forms: rows, tables, figures, paper."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck import html
from prunecheck.reporting import ReportData
from prunecheck.reporting.export import verdict_rows
from prunecheck.reporting.language import LanguageReport
from prunecheck.reporting.sections import cost_sentence
from prunecheck.runner.engine import Failure
from prunecheck.statistics import StudyVerdict
from prunecheck.statistics.outcome import as_html
from prunecheck.store.durable import plainly
from prunecheck.study import AnyStudy
from prunecheck.study.plan import Plan
from prunecheck.study.step import Step
from prunecheck.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(repr=False)
class Results:
    """A finished study, or one that is finished as far as possible after failures."""

    study: AnyStudy
    data: ReportData | LanguageReport
    page: Path
    plan: Plan
    ran: list[Step] = field(default_factory=list)
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    memory: int = 0
    """bytes: the most that any process of the run has held; 0 where none was run or the system does not tell"""
    notes: list[str] = field(default_factory=list)
    """remarks on the results folder: replaced results, a margin that was fixed anew"""
    copied: int = 0
    """trainings that were not run because another method had the same mask"""

    given: list[str] = field(default_factory=list)
    """remarks of the report that the progress display printed before the first step"""

    @property
    def verdict(self) -> StudyVerdict:
        return self.data.verdict

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """One mapping per trained network, as in ``results.csv``; accuracies are fractions."""
        return self.data.rows

    def table(self) -> list[dict[str, Any]]:
        """The verdicts as rows, one per method x check: ``method, check, verdict, mean_drop, low, high, seeds``.

        Drops are in points and None if a check has no single mean; ready for ``pandas.DataFrame``.
        """
        return verdict_rows(self.verdict)

    def figure(self, title: str = "accuracy") -> Figure:
        """A figure for print: ``accuracy``, ``keep-shares`` or ``effects`` (of language models ``effects`` alone), as a
        matplotlib figure to show or save.

        Raises StudyError for other names, and if there is nothing to draw.
        """
        from prunecheck.reporting.print_figures import draw

        return draw(self.data, title)

    def paper(self, folder: str | Path, formats: Iterable[str] = ("pdf",), *, parquet: bool = False) -> list[Path]:
        """Figures, tables, methods paragraph, references and numbers for a paper, in one folder; the files written.

        See ``prunecheck.reporting.paper.write_paper``, also for what is raised.
        """
        from prunecheck.reporting.language_paper import write_language_paper
        from prunecheck.reporting.paper import write_paper

        if isinstance(self.data, LanguageReport):
            return write_language_paper(self.data, Path(folder), formats, parquet=parquet)
        return write_paper(self.data, Path(folder), formats, parquet=parquet)

    def show(self) -> None:
        """Show the report: below the cell in a notebook, else in the web browser; its path where there is neither.

        Raises StoreError if the file of the page cannot be read any more.
        """
        from prunecheck.runner.notebook import in_notebook, show_page

        with plainly(self.page):
            page = self.page.read_text(encoding="utf-8")
        where = f"Page: {printable(self.page, 600)}"
        if in_notebook():
            show_page(page, where)
        elif not webbrowser.open(self.page.resolve().as_uri()):
            print(where)

    @property
    def trained(self) -> int:
        """Trainings run this time."""
        return sum(step.kind in ("pretrain", "train") for step in self.ran)

    @property
    def shared(self) -> int:
        """Trainings that more than one arm needs, and that are done once."""
        return self.plan.trainings_requested - self.plan.trainings

    def __repr__(self) -> str:
        return "\n".join([repr(self.verdict), *[printable(line, 600) for line in self._footer()]])

    def _repr_html_(self) -> str:
        return as_html(self.verdict) + "".join(html.said(line) for line in self._footer())

    def _cost(self) -> str:
        return self.data.cost_sentence if isinstance(self.data, LanguageReport) else cost_sentence(self.data.cost)

    def _footer(self) -> list[str]:
        """The lines below the verdict: missing steps, the cost, the path of the page."""
        unfinished = [self.data.unfinished] if self.data.unfinished else []
        return [*unfinished, self._cost(), f"Page: {self.page}"]
