"""A study with everything weighed and nothing said yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prunecheck.statistics.controls import Controls, read_controls
from prunecheck.statistics.evidence import (
    CellEvidence,
    CheckEvidence,
    pool_sparsities,
    weigh_cells,
    weigh_checks,
)
from prunecheck.statistics.layout import Layout, lay_out
from prunecheck.statistics.margin import Margin, settle_margin
from prunecheck.statistics.rows import Row
from prunecheck.statistics.settings import Settings


class Case(NamedTuple):
    """Rows laid out, the margin settled, cells and checks weighed, controls read and their gates applied."""

    layout: Layout
    margin: Margin
    cells: CellEvidence
    controls: Controls
    checks: CheckEvidence

    def informative(self, j: int) -> bool:
        """Whether the sparsities a check is averaged over could have shown a drop."""
        pool = self.checks.pools[j]
        return bool(pool) and self.controls.informative[pool[0], j]


def weigh(rows: Iterable[Row], settings: Settings) -> Case:
    """Weigh the rows of a study. Raises StudyError (see ``lay_out`` and ``settle_margin``)."""
    layout = lay_out(rows, settings)
    margin = settle_margin(
        layout.dense, layout.n_test, chance=settings.chance, override=settings.margin, was=settings.margin_was
    )
    if settings.margin_rule:
        margin = margin._replace(rule=settings.margin_rule)
    cells = weigh_cells(layout, margin.points)
    controls = read_controls(layout, cells)
    cells = cells.without(controls.invalid)
    pools = pool_sparsities(layout, cells, controls.informative)
    return Case(layout, margin, cells, controls, weigh_checks(layout, cells, pools, margin.points))
