"""The data of the figures."""

from __future__ import annotations

from dataclasses import replace

from prunecheck.reporting import figures
from prunecheck.reporting.data import Curve
from prunecheck.reporting.summary import arms, order
from tests.reporting import sample


def test_identity_control_is_not_drawn_beside_a_clean_arm_of_more_seeds() -> None:
    data = sample.data()
    control = replace(data.verdict.checks[0], check="identity", control="identity")
    row = {**data.rows[0], "check": "identity", "accuracy": 0.5}
    verdict = replace(data.verdict, checks=(*data.verdict.checks, control))
    curve = Curve("snip", "identity", 0.9, 0, (0.1, 0.2))
    data = replace(data, verdict=verdict, rows=[*data.rows, row], curves=(*data.curves, curve))
    found = figures.accuracy(arms(data), order(data), data.verdict)
    assert found is not None
    drawn = [found, *(figure for _, figure in figures.curves(data, order(data)))]
    names = {series.name for figure in drawn for panel in figure.panels for series in panel.series}
    assert "identity" in order(data).checks
    assert "identity" not in names
    assert {"clean", *sample.CHECKS} <= names


def test_panels_of_training_curves_share_one_accuracy_axis() -> None:
    data = sample.data()
    for _, figure in figures.curves(data, order(data)):
        assert len({panel.y.ticks for panel in figure.panels}) == 1


def test_references_are_last_so_that_methods_are_drawn_over_them() -> None:
    found = figures.keep_shares(sample.data(), order(sample.data()))
    assert found is not None
    flags = [series.reference for series in found.panels[0].series]
    assert flags == sorted(flags)
    assert any(flags)
