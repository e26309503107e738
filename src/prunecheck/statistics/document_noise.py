"""What documents add to the noise of a mean over draws: the two-way crossed random effects model.

The difference of document i in draw s is ``mean + document_i + draw_s + rest_is``, all of them random and independent.
The mean over I documents and S draws then has the variance ``var(document) / I + var(draw) / S + var(rest) / (I S)``,
which the mean squares of the table estimate: ``(MS_documents + MS_draws - MS_rest) / (I S)`` (Searle, Casella and
McCulloch 1992, chapter 4; the same estimator is Cameron, Gelbach and Miller 2011 for two-way clusters). Neither mean
square may be believed below that of the rest, so that the estimate is never negative and too large on average, never
too small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class DocumentNoise(NamedTuple):
    """Arrays (...). ``floor``: the smallest believable variance of a draw's mean over the documents, ``MS_rest / I``.
    ``shared``: variance of the mean over all draws that comes from the choice of documents and that no further draw
    reduces, ``(MS_documents - MS_rest) / (I S)``, at least 0. ``dof``: its degrees of freedom, I - 1."""

    floor: Array
    shared: Array
    dof: Array


def document_noise(differences: Array) -> DocumentNoise:
    """Mean squares of (..., draws, documents); draws that are NaN throughout are not there.

    With fewer than two draws there is no rest: ``floor`` and ``shared`` are 0, and no test may be made.
    """
    count = differences.shape[-1]
    there = np.asarray(np.isfinite(differences).all(axis=-1))
    n = there.sum(axis=-1).astype(np.float64)
    d = np.where(there[..., None], differences, 0.0)
    divisor = np.maximum(n, 1)
    by_document = d.sum(axis=-2) / divisor[..., None]
    mean = by_document.mean(axis=-1)
    by_draw = d.mean(axis=-1)
    rest = np.where(there[..., None], d - by_document[..., None, :] - by_draw[..., None] + mean[..., None, None], 0.0)
    ms_rest = (rest**2).sum(axis=(-2, -1)) / (np.maximum(n - 1, 1) * (count - 1))
    ms_documents = divisor * ((by_document - mean[..., None]) ** 2).sum(axis=-1) / (count - 1)
    shared = np.where(n > 1, np.maximum(ms_documents - ms_rest, 0.0) / (divisor * count), 0.0)
    return DocumentNoise(ms_rest / count, shared, np.full(n.shape, count - 1.0))
