"""Axes: order is kept, ticks fit."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.reporting.scales import Decades, Linear, effects_axis

POINTS = st.floats(-100, 100, allow_nan=False)


@given(margin=st.floats(0.01, 5), values=st.lists(POINTS, max_size=20), a=POINTS, b=POINTS)
def test_the_effects_axis_holds_everything_in_order(margin: float, values: list[float], a: float, b: float) -> None:
    axis = effects_axis(margin, values)
    assert all(0 < axis.place(v) < 1 for v in [*values, 0.0, margin, -margin])
    low, high = sorted((a, b))
    assert axis.place(low) <= axis.place(high)


@given(margin=st.floats(0.01, 5), values=st.lists(POINTS, max_size=20))
def test_effect_ticks_hold_zero_and_do_not_collide(margin: float, values: list[float]) -> None:
    axis = effects_axis(margin, values)
    places = [axis.place(tick) for tick in axis.ticks()]
    assert 0.0 in axis.ticks()
    assert all(b - a >= 0.085 - 1e-9 for a, b in pairwise(places))


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_effects_axis_without_a_positive_margin(margin: float) -> None:
    assert 0 < effects_axis(margin, [math.nan, math.inf, 3.0]).place(3.0) < 1


def test_the_effects_axis_is_even_inside_the_margin_and_not_outside() -> None:
    axis = effects_axis(1.0, [50.0])
    inside = axis.place(0.5) - axis.place(0.0), axis.place(0.0) - axis.place(-0.5)
    assert inside[0] == pytest.approx(inside[1])
    assert axis.place(50) - axis.place(49) < 0.1 * inside[0]


@pytest.mark.parametrize(("low", "high", "ticks"), [(0.8, 0.95, [0.8, 0.85, 0.9, 0.95]), (1, 160, [50, 100, 150])])
def test_linear_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert Linear(low, high).ticks() == pytest.approx(ticks)


def test_an_axis_of_one_value_puts_it_in_the_middle() -> None:
    assert Linear(3, 3).place(3) == 0.5
    assert Linear(3, 3).ticks() == [3]


def test_decades_run_from_one_to_the_floor() -> None:
    axis = Decades(0.001)
    assert [axis.place(v) for v in (1.0, 0.1, 0.001, 0.0)] == pytest.approx([1.0, 2 / 3, 0.0, 0.0])
    assert axis.ticks() == pytest.approx([0.001, 0.01, 0.1, 1.0])
