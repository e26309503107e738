"""The intermediate result of judging a study: rows laid out, margin fixed, evidence weighed, controls read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from prunecheck.statistics.controls import Controls, Guard, guard_bounds, guard_state, read_controls
from prunecheck.statistics.evidence import CheckEvidence, pool_sparsities, weigh_cells, weigh_means
from prunecheck.statistics.inference import LIMIT
from prunecheck.statistics.layout import Documents, Layout, lay_out
from prunecheck.statistics.margin import Margin, settle_margin
from prunecheck.statistics.rows import Row, unit
from prunecheck.statistics.ruined import ruined_runs_not_excluded
from prunecheck.statistics.settings import Settings
from prunecheck.statistics.variance import Array


class Analysis(NamedTuple):
    """Everything that verdicts and sentences are made from."""

    layout: Layout
    margin: Margin
    controls: Controls
    checks: CheckEvidence
    guards: tuple[Array, Array]
    """bounds (checks,) of what the positive control loses by the same check"""

    def guard(self, j: int) -> Guard:
        """What is known of the positive control of a check."""
        return guard_state(float(self.guards[0][j]), float(self.guards[1][j]), self.margin.points)

    def guarded_below(self, j: int) -> float:
        """The margins up to which the positive control of a check is shown to be hurt; infinite where there is none."""
        low = float(self.guards[0][j])
        return math.inf if math.isnan(low) else low


def analyse(rows: Iterable[Row], settings: Settings, documents: Documents | None = None) -> Analysis:
    """Analyse the rows of a study. Raises StudyError (see ``lay_out`` and ``settle_margin``)."""
    layout = lay_out(rows, settings, documents)
    margin = settle_margin(
        layout.dense_values,
        layout.n_test,
        chance=settings.chance,
        override=settings.margin,
        was=settings.margin_was,
        unit=unit(settings.metric),
    )
    if settings.margin_rule:
        margin = margin._replace(rule=settings.margin_rule)
    limit = LIMIT * margin.points
    cells = weigh_cells(layout, limit)
    controls = read_controls(layout, cells, margin.points)
    cells = cells.without(controls.invalid)
    pools = pool_sparsities(layout, cells, controls.informative)
    blocked = ruined_runs_not_excluded(layout)
    checks = CheckEvidence(cells, weigh_means(layout, cells, pools, limit), pools, blocked)
    return Analysis(layout, margin, controls, checks, guard_bounds(layout, checks))
