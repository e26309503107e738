"""The margin: the smallest difference that counts. Settled from dense runs, before any corrupted arm.

A verdict without a margin would only say that the study was large (ICH E10, section 1.5; Schuirmann 1987). The rule
looks at nothing but the dense networks and the test set, so it cannot be bent towards a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from prunecheck.errors import StudyError
from prunecheck.statistics.rows import Unit, size

SHARE_OF_SKILL = 0.01
SHARE_OF_ERRORS = 0.20
EXAMPLES = 5
ENOUGH_DENSE = 3


class Margin(NamedTuple):
    """``points`` of the metric (or nats), and the ``rule`` they come from, as a sentence."""

    points: float
    rule: str


def settle_margin(
    dense: Sequence[float],
    n_test: int,
    *,
    chance: float = 0.0,
    override: float | None = None,
    was: float | None = None,
    unit: Unit = "points",
) -> Margin:
    """The margin in points: 1 % of what the dense network knows above chance, at most a fifth of its errors.

    *dense*: accuracies of the dense runs, fractions; *chance*: fraction, 0 = unknown. Never below 5 test examples.
    *override*: the user's own margin in *unit*; *was*: the margin written down first. Raises StudyError where there is
    neither a dense run nor an override.
    """
    if override is not None:
        margin = Margin(override, f"The margin of {size(override, unit)} {unit} was set by hand.")
        return margin._replace(rule=margin.rule + note_on_change(margin, was))
    if unit == "nats":
        raise StudyError(
            "no margin: none follows by rule for negative log-likelihoods. Give one in nats per token, such as 0.05, "
            'or as a share of what another method loses, such as "10% of loss of magnitude".'
        )
    if not dense:
        raise StudyError(
            "no margin: there is no row with method 'dense' to derive it from. Add the unpruned network's "
            "accuracy, or give a margin in points, such as 0.5."
        )
    accuracy, floor = 100 * fmean(dense), 100 * EXAMPLES / n_test
    skill, errors = SHARE_OF_SKILL * (accuracy - 100 * chance), SHARE_OF_ERRORS * (100 - accuracy)
    points = max(floor, min(skill, errors))
    if points == floor:
        reason = f"{EXAMPLES} of the {n_test} test examples"
    elif skill <= errors:
        reason = f"1% of what the dense network ({accuracy:.2f}%) knows above chance ({100 * chance:.2f}%)"
        if chance == 0:
            reason = f"1% of the dense network's accuracy ({accuracy:.2f}%), since chance accuracy is unknown"
    else:
        reason = f"a fifth of the dense network's errors ({100 - accuracy:.2f}%)"
    few = len(dense) < ENOUGH_DENSE
    doubt = f" Only {len(dense)} dense run{'s' * (len(dense) > 1)}: the margin itself is uncertain." if few else ""
    return Margin(points, f"The margin of {points:.2f} points is {reason}.{doubt}")


def note_on_test_set(margin: Margin, n_test: int, *, by_hand: bool) -> str:
    """A remark where the size of the test set alone decides the margin, else an empty text."""
    if by_hand or not math.isclose(margin.points, 100 * EXAMPLES / n_test):
        return ""
    return (
        f"The margin of {margin.points:.2f} points is that of {EXAMPLES} of the {n_test} test examples: the size of "
        "the test set decides it, and with more test examples it would be smaller."
    )


def note_on_change(margin: Margin, was: float | None) -> str:
    """A sentence, after a space, where another margin was fixed first; else an empty text."""
    if was is None or math.isclose(was, margin.points):
        return ""
    return f" Changed after results were seen: it was {was:.2f}."
