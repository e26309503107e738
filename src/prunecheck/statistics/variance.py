"""Moderated variances: a cell with few seeds uses what other cells say about noise (never what they say about drops).

Smyth 2004 (Stat Appl Genet Mol Biol 3:3), "Linear models and empirical Bayes methods": sample variances are shrunk
towards a common value. Three differences keep the error rate where cells are not alike:

- the common value of a cell comes from the other cells only;
- its weight is limited by how much these others know: checks of one method share a clean arm, so their variances
  repeat each other;
- a cell that is noisier than the others, over all its sparsities, gives them less weight, down to none.

Arrays end in (sparsities, cells) or (sparsities, cells, seeds), where a cell is one method x check; every leading axis
is a separate study.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, fdtrc, zeta

from prunecheck.statistics.document_noise import document_noise

Array = NDArray[np.float64]
Numbers = NDArray[np.int_]

MIN_OTHERS = 2
"""With fewer other cells at the same sparsity, a cell uses its own variance alone."""
SHARED = 0.5
"""Correlation of two differences that share a clean arm, where all arms are equally noisy."""


class Noise(NamedTuple):
    """Arrays (..., sparsities, cells): pairs, mean, sample variance, moderated variance, its degrees of freedom, the
    weight of the other cells (degrees of freedom too), and the factor in it that says how alike a cell is to them.

    ``shared``: the part of the variance of the mean that no further seed reduces, because all seeds use the same
    documents, and its degrees of freedom ``shared_dof``; 0 and 1 without documents.

    ``limited_mean``, ``limited_variance``: those of the differences after larger ones were set to the limit; NaN where
    none is larger. The variance is the cell's own, and never below that of the other cells or the guard.

    Mean in points, variances in points squared; NaN where a cell has too few pairs to say.
    """

    n: Array
    mean: Array
    variance: Array
    borrowed: Array
    dof: Array
    d0: Array
    likeness: Array
    shared: Array
    shared_dof: Array
    limited_mean: Array
    limited_variance: Array


def noise(
    differences: Array,
    owners: Numbers | None = None,
    guard: Array | float = 0.0,
    cap: float = 4.0,
    likeness: Array | None = None,
    documents: Array | None = None,
    limit: float = np.inf,
) -> Noise:
    """Mean and moderated variance of each cell.

    *differences*: (..., sparsities, cells, seeds), points, NaN = pair not there. *owners*: (cells,) number of the
    clean arm that a cell uses, None = each its own. *guard*: smallest believable variance of a difference, points
    squared, broadcast to (..., sparsities, cells). *cap*: largest weight of the other cells, in degrees of freedom.
    *likeness*: (..., 1, cells), None = from these differences. *documents*: the differences of single documents
    (..., sparsities, cells, seeds, documents), of which *differences* are the means; variances are not moderated then,
    and nothing is limited. *limit*: see ``Noise.limited_mean``; points.
    """
    there = np.isfinite(differences)
    n = there.sum(axis=-1).astype(np.float64)
    mean = _over(np.where(there, differences, 0.0).sum(axis=-1), n)
    spread = np.where(there, differences - mean[..., None], 0.0)
    dof = n - 1
    variance = _over((spread**2).sum(axis=-1), dof)
    owners = np.arange(n.shape[-1]) if owners is None else np.asarray(owners)
    shared, shared_dof = np.zeros(n.shape), np.ones(n.shape)
    if documents is not None:
        # Checks differ in noise by orders of magnitude here, and the error rates were simulated without moderation.
        floor, shared, shared_dof = document_noise(documents)
        guard, cap = np.maximum(guard, floor), 0.0
    prior, d0, known = _prior(variance, dof, owners, np.broadcast_to(guard, n.shape), cap, spread)
    if likeness is None:
        likeness = _likeness(variance, dof, prior, known)
    likeness = np.broadcast_to(likeness, n.shape)
    d0 = d0 * likeness
    pooled = _over(d0 * prior + dof * variance, d0 + dof)
    moderated, known = np.maximum(pooled, guard), np.where(dof > 0, d0 + dof, np.nan)
    limited = _limited(differences, np.inf if documents is not None else limit, np.maximum(prior, guard))
    return Noise(n, mean, variance, moderated, known, d0, likeness, shared, shared_dof, *limited)


def _limited(differences: Array, limit: float, least: Array) -> tuple[Array, Array]:
    """Mean and variance where differences above *limit* count as *limit*; NaN where there are none."""
    there = np.isfinite(differences)
    n = there.sum(axis=-1).astype(np.float64)
    values = np.where(there, np.minimum(differences, limit), 0.0)
    mean = _over(values.sum(axis=-1), n)
    variance = _over((np.where(there, values - mean[..., None], 0.0) ** 2).sum(axis=-1), n - 1)
    is_limited = (there & (differences > limit)).any(axis=-1)
    return np.where(is_limited, mean, np.nan), np.where(is_limited, np.maximum(variance, least), np.nan)


def _prior(
    variance: Array, dof: Array, owners: Numbers, guard: Array, cap: float, spread: Array
) -> tuple[Array, Array, Array]:
    """For each cell the common variance of the others, its weight d0, and the degrees of freedom behind it.

    A spread of exactly 0 means that both arms were the same network: that says nothing about noise. A spread below
    the guard is luck, and counts as the guard.
    """
    usable = (dof >= 2) & (variance > 0)
    half = np.where(usable, dof, 2.0) / 2
    # The mean logarithm of a sample variance is biased; digamma removes that (Smyth 2004).
    logs = np.log(np.where(usable, np.maximum(variance, guard), 1.0)) - digamma(half) + np.log(half)
    logs, expected = np.where(usable, logs, 0.0), np.where(usable, zeta(2, half), 0.0)
    others = _rest(usable.astype(np.float64))
    centre = _over(_rest(logs), others)
    scatter = (_rest(logs**2) - others * centre**2) / np.maximum(others - 1, 1)
    excess = np.nan_to_num(scatter - _over(_rest(expected), others))
    known = _over(_rest(np.where(usable, dof, 0.0)), others) * _others_worth(usable, owners, spread)
    enough = (others >= MIN_OTHERS) & (known > 0)
    # Less scatter than chance alone explains: the true variances are taken to be equal.
    alike = ~(enough & (excess > 0))
    half0 = inverse_trigamma(np.where(alike, 1.0, excess))
    shift = np.where(alike, 0.0, digamma(half0) - np.log(half0))
    d0 = np.minimum(np.where(alike, np.inf, 2 * half0), np.minimum(cap, np.where(enough, known, 0.0)))
    prior = np.where(enough, np.exp(np.where(enough, centre, 0.0) + shift), 0.0)
    return prior, np.where(enough, d0, 0.0), np.where(enough, known, 0.0)


def _others_worth(usable: NDArray[np.bool_], owners: Numbers, spread: Array) -> Array:
    """How many cells with clean arms of their own the other cells of each are worth, (..., sparsities, cells).

    C cells that share a clean arm count as C / (1 + (C - 1) r^2), where r is the correlation of their differences:
    1/2 where all arms are equally noisy, and up to 1 where the clean arm is the noisy one.
    """
    belongs = (owners[:, None] == np.unique(owners)).astype(np.float64)
    counts = usable.astype(np.float64) @ belongs
    kept = np.where(usable[..., None], spread, 0.0)
    together = (np.einsum("...js,jm->...ms", kept, belongs) ** 2).sum(axis=(-3, -1))
    apart = (kept**2).sum(axis=-1).sum(axis=-2) @ belongs
    most = np.maximum(counts.max(axis=-2) - 1, 1.0)
    # A correlation below that of equally noisy arms would overrate what the other cells know.
    shared = np.clip((_over(together, apart) - 1) / most, SHARED, 1.0)
    shared = np.nan_to_num(shared, nan=SHARED)[..., None, :] ** 2
    worth = counts / (1 + np.maximum(counts - 1, 0) * shared)
    # The cell itself is not one of the others.
    rest = np.maximum(worth.sum(axis=-1, keepdims=True) - 1, 0.0)
    return np.asarray(np.broadcast_to(rest, usable.shape))


def _likeness(variance: Array, dof: Array, prior: Array, known: Array) -> Array:
    """Two times the probability that a cell like the others is this noisy, at most 1; pooled over sparsities."""
    judged = (prior > 0) & (dof > 0)
    weight = np.where(judged, dof, 0.0)
    own = weight.sum(axis=-2, keepdims=True)
    ratio = np.where(judged, variance / np.where(judged, prior, 1.0), 0.0)
    # Pooled over sparsities: a few seeds at a single one say too little about how noisy a check is.
    pooled = np.nan_to_num(_over((weight * ratio).sum(axis=-2, keepdims=True), own))
    others = np.where(judged, known, 0.0).sum(axis=-2, keepdims=True)
    tail = fdtrc(np.maximum(own, 1.0), np.maximum(others, 1.0), pooled)
    return np.asarray(np.minimum(1.0, 2 * tail), dtype=np.float64)


def inverse_trigamma(y: Array) -> Array:
    """x > 0 with trigamma(x) = y > 0, by Newton's method on 1/trigamma (Smyth 2004, appendix)."""
    y = np.clip(y, 1e-6, 1e6)
    x = 0.5 + 1 / y
    for _ in range(20):
        trigamma = zeta(2, x)
        x = x + trigamma * (1 - trigamma / y) / (-2 * zeta(3, x))
    return np.asarray(x, dtype=np.float64)


def _rest(values: Array) -> Array:
    """The sum over all other cells of the same sparsity."""
    return np.asarray(values.sum(axis=-1, keepdims=True) - values, dtype=np.float64)


def _over(above: Array, below: Array) -> Array:
    """*above* / *below*, NaN where *below* is not positive."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
