"""Settings: the looks of a study, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.statistics.settings import Look, Settings, next_look, schedule


def alphas(**changes: Any) -> list[tuple[int, float]]:
    return [(look.n, round(look.alpha, 12)) for look in schedule(Settings(**changes))]


def test_the_usual_looks() -> None:
    assert alphas() == [(3, 0.004), (5, 0.007), (7, 0.012), (10, 0.027)]


def test_one_look_spends_everything() -> None:
    assert alphas(looks=(5,)) == [(5, 0.05)]
    assert alphas(looks=(3, 4), spend=(1, 1), max_seeds=3) == [(3, 0.05)]


def test_the_last_look_takes_what_is_left() -> None:
    assert alphas(max_seeds=5) == [(3, 0.004), (5, 0.046)]
    assert alphas(max_seeds=6) == [(3, 0.004), (5, 0.007), (6, 0.039)]
    assert alphas(max_seeds=99) == alphas()
    assert alphas(alpha=0.1) == [(3, 0.008), (5, 0.014), (7, 0.024), (10, 0.054)]
    assert alphas(looks=(4, 8), spend=(1, 3)) == [(4, 0.0125), (8, 0.0375)]


@pytest.mark.parametrize("changes", [{}, {"max_seeds": 4}, {"alpha": 0.01}, {"spend": (1.0, 2.0, 3.0, 4.0)}])
def test_alpha_is_spent_exactly(changes: dict[str, Any]) -> None:
    settings = Settings(**changes)
    assert sum(look.alpha for look in schedule(settings)) == pytest.approx(settings.alpha, abs=1e-15)


def test_next_look() -> None:
    assert [next_look(n, Settings()) for n in (0, 2, 3, 4, 9, 10, 11)] == [3, 3, 5, 5, 10, None, None]
    assert next_look(0, Settings(looks=(6,))) == 6
    assert [next_look(n, Settings(fixed_n=True)) for n in (0, 9, 10)] == [10, 10, None]
    assert schedule(Settings())[0] == Look(3, pytest.approx(0.004))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0.0}, r"alpha 0 is outside \(0, 0.5\)"),
        ({"alpha": 0.5}, r"alpha 0.5 is outside"),
        ({"looks": ()}, r"looks \(\) must be growing"),
        ({"looks": (5, 3, 7, 10)}, r"must be growing"),
        ({"looks": (3, 3, 7, 10)}, r"must be growing"),
        ({"looks": (2, 5, 7, 10)}, r"a look needs at least 3 seeds"),
        ({"looks": (3, 5)}, r"2 looks but 4 values in spend: give one for each look"),
        ({"spend": (0.0, 1.0, 1.0, 1.0)}, r"every look needs a part of alpha above 0"),
        ({"max_seeds": 0}, r"max_seeds 0 must be at least 1"),
        ({"margin": 0.0}, r"margin 0 must be above 0: points of accuracy"),
        ({"margin": 100.0}, r"margin 100 must be above 0"),
        ({"family": "studdy"}, r"'studdy' is not a family of verdicts. Did you mean 'study'\?"),
        ({"chance": 1.0}, r"chance 1 is a fraction"),
        ({"chance": -0.1}, r"chance -0.1 is a fraction"),
        ({"cap_d0": -1.0}, r"cap_d0 -1 must be 0"),
        ({"cap_d0": float("nan")}, r"cap_d0 nan must be 0"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Settings(**changes)


def test_edges_are_accepted() -> None:
    Settings(alpha=0.49, max_seeds=1, margin=99.0, chance=0.0, cap_d0=0.0, looks=(3,))
