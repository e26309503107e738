"""Error rates by simulation: the functions that judge a real study judge made-up ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import operating_characteristics as oc

STUDIES = 400
MOST = 0.06 + 3 * (0.06 * 0.94 / STUDIES) ** 0.5


@pytest.mark.parametrize("label", ["one method", "K=3", "fixed 5", "first check 4x, C=3"])
def test_at_the_margin_neither_verdict_is_given_often(label: str) -> None:
    rates = oc.play(replace(oc.TUNING[label], futility=False), STUDIES, np.random.default_rng(3))
    assert max(rates.depends, rates.fails, *rates.more.values()) <= MOST


def test_clear_truths_are_found() -> None:
    assert oc.play(oc.Truth(0.0, 0.25), 200, np.random.default_rng(3)).method_fails >= 0.97
    assert oc.play(oc.Truth(4.0, 0.5), 200, np.random.default_rng(3)).passes >= 0.97


def test_a_corruption_that_ruins_every_fifth_run_is_rarely_called_harmless() -> None:
    rates = oc.play(oc.SKEWED["20 % lose 10, all checks"], STUDIES, np.random.default_rng(3))
    assert rates.method_fails <= 0.10 + 3 * (0.1 * 0.9 / STUDIES) ** 0.5
