"""Settings: designs, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.statistics.settings import Settings, interim_analyses, next_look


def test_a_sequential_study_is_analysed_at_every_seed_from_three_on() -> None:
    assert interim_analyses(Settings(design="sequential")) == (3, 4, 5, 6, 7, 8, 9, 10)
    assert interim_analyses(Settings(design="sequential", max_seeds=24))[-2:] == (23, 24)
    assert interim_analyses(Settings(design="sequential", looks=(3, 5, 20), max_seeds=20)) == (3, 5, 20)


def test_the_next_analysis() -> None:
    sequential = Settings(design="sequential")
    assert [next_look(n, sequential) for n in (0, 2, 3, 4, 9, 10, 11)] == [3, 3, 4, 5, 10, None, None]
    assert next_look(0, Settings(design="sequential", looks=(6,))) == 6
    assert [next_look(n, Settings()) for n in (0, 9, 10)] == [10, 10, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0.0}, r"alpha 0 is outside \(0, 0.5\)"),
        ({"alpha": 0.5}, r"alpha 0.5 is outside"),
        ({"looks": (3, 5)}, r"looks \(3, 5\): a fixed design is analysed once. Leave looks out"),
        ({"looks": (5, 3), "design": "sequential"}, r"must be increasing"),
        ({"looks": (3, 3), "design": "sequential"}, r"must be increasing"),
        ({"looks": (2, 5), "design": "sequential"}, r"an analysis needs at least 3 seeds"),
        ({"looks": (3, 12), "design": "sequential"}, r"go beyond max_seeds 10: end them there, or raise it"),
        ({"max_seeds": 2, "design": "sequential"}, r"needs at least 3 seeds"),
        ({"design": "sequental"}, r"'sequental' is not a design. Did you mean 'sequential'\?"),
        ({"compare": (("snip", "snip"),)}, r"a comparison names two different methods"),
        ({"max_seeds": 0}, r"max_seeds 0 must be at least 1"),
        ({"margin": 0.0}, r"margin 0 must be above 0 and below 100: points, such as 0.5"),
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
    Settings(alpha=0.49, max_seeds=1, margin=99.0, chance=0.0, cap_d0=0.0)
