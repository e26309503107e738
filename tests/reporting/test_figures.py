"""The data of the figures."""

from __future__ import annotations

import re
from dataclasses import replace

from prunecheck.reporting import charts, figures
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


def test_curves_of_unequal_length_share_one_epoch_axis_and_name_their_checks_in_words() -> None:
    data = sample.data()
    short = tuple(replace(c, accuracy=c.accuracy[:40]) if c.method == "snip" else c for c in data.curves)
    [(_, figure)] = figures.curves(replace(data, curves=short), order(data))
    assert {panel.x.place(40.0) for panel in figure.panels} == {39 / 159}
    assert "random labels" in {series.name for series in figure.legend}


def test_chart_with_long_layer_names_has_room_for_them_and_is_wide_where_it_stands_alone() -> None:
    data = sample.small()
    found = figures.keep_shares(data, order(data))
    assert found is not None
    [panel] = found.panels
    one, two = charts.draw(found), charts.draw(replace(found, panels=(panel, panel)))
    assert one is not None
    assert two is not None
    longest = max(len(text) for _, text in panel.x.ticks)
    boxes = [re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn.panels[0][1])[0] for drawn in (one, two)]
    assert boxes == [("480", str(220 + round(5.2 * longest))), ("340", str(220 + round(5.2 * longest)))]


def test_references_are_last_so_that_methods_are_drawn_over_them() -> None:
    found = figures.keep_shares(sample.data(), order(sample.data()))
    assert found is not None
    flags = [series.reference for series in found.panels[0].series]
    assert flags == sorted(flags)
    assert any(flags)
