"""Tests and bounds for a mean whose variance has two parts with different degrees of freedom: draws and documents.

The critical value is the mean of the two t quantiles, weighted by the two parts of the estimated variance (Cochran and
Cox 1957, section 4.14; Cochran 1964). It keeps the level where Satterthwaite's degrees of freedom do not: with three
draws these err in up to 1.3 times a level of 5 % and 3.7 times one of 0.5 %, which the corrections for several
checks use (docs/decisions/0015). Without documents it is the ordinary t test.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from prunecheck.errors import StudyError
from prunecheck.statistics.settings import MIN_SEEDS
from prunecheck.statistics.variance import Array, Noise, noise

STEPS = 60
"""Halvings of an interval of logarithms of p: far below rounding."""


class DocumentsByDraws(NamedTuple):
    """The mean of paired differences over documents and draws.

    ``low``, ``high``: one-sided bounds at the level asked for. ``p_above``, ``p_below``: p of "the true mean exceeds
    the margin" and of "it is below the margin". ``error``: standard error; ``draw_error`` and ``document_error`` are
    its parts from the choice of draws (with the rest) and of documents: their squares add up. ``dof``: degrees of
    freedom of the t distribution with the same bounds. NaN, infinite or 1 where fewer than three draws allow no test.
    """

    mean: float
    low: float
    high: float
    p_above: float
    p_below: float
    error: float
    draw_error: float
    document_error: float
    dof: float
    draws: int
    documents: int


def documents_by_draws(differences: Array, margin: float = 0.0, alpha: float = 0.05) -> DocumentsByDraws:
    """Judge paired differences (documents, draws), all finite, in the unit of *margin*, positive = something is lost.

    Documents and draws count as samples, so that the answer holds for other documents and other draws. With one or
    two draws there is no test: documents alone would say how well these networks are known, not the method.
    Raises StudyError for another shape, fewer than two documents or values that are not finite.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] < 2 or d.shape[1] < 1:
        raise StudyError(f"differences of shape {d.shape}: give at least 2 documents (rows) by 1 draw (columns).")
    if not np.isfinite(d).all():
        raise StudyError("differences: every document needs a finite value in every draw.")
    table = d.T[None, None]
    seen = noise(table.mean(axis=-1), documents=table)
    parts = Noise(*(part[0, 0] for part in seen))
    mean, draws = float(d.mean()), d.shape[1]
    if draws < MIN_SEEDS:
        nan, inf = math.nan, math.inf
        return DocumentsByDraws(mean, -inf, inf, 1.0, 1.0, nan, nan, nan, nan, draws, d.shape[0])
    error = float(standard_error(parts))
    reach = float(quantile(parts, np.asarray(1 - alpha))) * error
    above, below = (float(p_beyond(parts, margin, side)) for side in (1, -1))
    draw_error, document_error = float(np.sqrt(parts.borrowed / parts.n)), float(np.sqrt(parts.shared))
    dof = float(equivalent_dof(parts, alpha))
    return DocumentsByDraws(
        mean, mean - reach, mean + reach, above, below, error, draw_error, document_error, dof, draws, d.shape[0]
    )


def standard_error(seen: Noise) -> Array:
    """Standard error of the mean, in its unit."""
    return np.asarray(np.sqrt(seen.borrowed / seen.n + seen.shared), dtype=np.float64)


def p_beyond(seen: Noise, margin: float, side: int) -> Array:
    """Plain p for "the mean exceeds *margin*" (*side* 1) or "stays below it" (*side* -1)."""
    distance, error = side * (margin - seen.mean), standard_error(seen)
    # equal differences and no guard: the error is 0, and p is 0 or 1; 1/2 where the mean is the margin itself
    certain = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    return lower_tail(seen, np.where(error > 0, distance / np.where(error > 0, error, 1.0), certain))


def quantile(seen: Noise, probability: Array) -> Array:
    """The *probability* quantile of a score: the mean of the t quantiles of the two parts of the variance."""
    plain = np.asarray(stdtrit(seen.dof, probability), dtype=np.float64)
    share = _share_of_documents(seen)
    if not share.any():
        return plain
    return np.asarray((1 - share) * plain + share * stdtrit(seen.shared_dof, probability), dtype=np.float64)


def lower_tail(seen: Noise, score: Array) -> Array:
    """The probability of a score this low: the inverse of ``quantile``."""
    plain = np.asarray(stdtr(seen.dof, score), dtype=np.float64)
    share = np.broadcast_to(_share_of_documents(seen), plain.shape)
    mixed = (share > 0) & np.isfinite(score) & np.isfinite(plain)
    if not mixed.any():
        return plain
    share, own = share[mixed], np.broadcast_to(seen.dof, plain.shape)[mixed]
    other = np.broadcast_to(seen.shared_dof, plain.shape)[mixed]
    # both quantiles are odd functions, so that the lower half is enough; the answer lies between the two plain ones
    low = -np.abs(score[mixed])
    ends = np.sort(np.log(np.maximum([stdtr(own, low), stdtr(other, low)], 1e-300)), axis=0)
    for _ in range(STEPS):
        middle = ends.mean(axis=0)
        p = np.exp(middle)
        is_low = (1 - share) * stdtrit(own, p) + share * stdtrit(other, p) < low
        ends = np.where(is_low, [middle, ends[1]], [ends[0], middle])
    p = np.exp(ends.mean(axis=0))
    found = plain.copy()
    found[mixed] = np.where(score[mixed] > 0, 1 - p, p)
    return found


def equivalent_dof(seen: Noise, level: float) -> Array:
    """The degrees of freedom of the t distribution whose quantile at *level* is used; NaN where nothing is tested."""
    wanted = quantile(seen, np.asarray(1 - level))
    low, high = np.fmin(seen.dof, seen.shared_dof), np.fmax(seen.dof, seen.shared_dof)
    for _ in range(STEPS):
        middle = np.sqrt(low * high)
        too_few = stdtrit(middle, 1 - level) > wanted
        low, high = np.where(too_few, middle, low), np.where(too_few, high, middle)
    found = np.where(_share_of_documents(seen) > 0, np.sqrt(low * high), seen.dof)
    return np.asarray(np.where(np.isfinite(wanted), found, np.nan), dtype=np.float64)


def _share_of_documents(seen: Noise) -> Array:
    """The share of the variance of the mean that comes from documents; 0 where it is not known."""
    whole = seen.borrowed / seen.n + seen.shared
    return np.asarray(np.where(whole > 0, seen.shared / np.where(whole > 0, whole, 1.0), 0.0), dtype=np.float64)
