"""From cells to checks to methods: which p values allow which verdict, and when no more seeds are needed.

Pure functions of p values; the same ones judge a real study and thousands of simulated ones. Axes: (..., sparsities,
checks) for cells and (..., checks) for checks; NaN = not there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prunecheck.statistics.variance import Array

Flags = NDArray[np.bool_]

ONE_SPARSITY = 2.0
"""In units of the margin: "does not depend" excludes a drop larger than this at every single sparsity."""


def holm(p: Array) -> Array:
    """Holm-adjusted p values along the last axis (Holm 1979); NaN is not part of the family."""
    # NaN sorts last, so that it takes no rank within the family.
    order = np.argsort(p, axis=-1)
    ranked = np.take_along_axis(p, order, axis=-1)
    family = np.isfinite(p).sum(axis=-1, keepdims=True)
    steps = np.maximum(family - np.arange(p.shape[-1]), 1)
    # Holm stops at the first p that is not small enough: none after it may have a smaller adjusted p.
    climbed = np.minimum(np.maximum.accumulate(ranked * steps, axis=-1), 1.0)
    return np.take_along_axis(climbed, np.argsort(order, axis=-1), axis=-1)


def members(cells: Array) -> Array:
    """Size of the family of a check: its judged sparsities and, where there are several, their mean. (..., checks)"""
    count = np.isfinite(cells).sum(axis=-2)
    return np.asarray(np.where(count > 1, count + 1, 1), dtype=np.float64)


def p_check_depends(cells: Array, mean: Array) -> Array:
    """p that a check matters, at some sparsity or on average: the smallest Holm-adjusted p of the family.

    *cells*: sequential p for "above the margin" (..., sparsities, checks); *mean*: that of the per-seed mean over
    sparsities (..., checks).
    """
    # fmin and not min: NaN is a cell that does not exist.
    smallest = np.fmin(np.fmin.reduce(cells, axis=-2), mean)
    return np.minimum(smallest * members(cells), 1.0)


def p_check_fails(mean: Array, cells: Array) -> Array:
    """p that a check does not matter: the mean drop is below the margin, and no sparsity loses two margins.

    Intersection-union test (Berger 1982): all parts must hold, so none needs a correction. *mean*: p for "below the
    margin" (..., checks); *cells*: p for "below ``ONE_SPARSITY`` margins" (..., sparsities, checks).
    """
    return np.asarray(np.fmax(mean, np.fmax.reduce(cells, axis=-2)))


def methods_pass(depends: Array, required: Flags, alpha: float, family: str) -> Flags:
    """Which methods pass (..., methods): every required check matters.

    Intersection-union test (Berger 1982): no correction within a method. *depends*: p of the checks (..., methods,
    checks). ``family`` "study": Holm over the methods as well.
    """
    # A required check without data counts as p = 1: a method cannot pass by not being tested.
    worst = np.where(required, np.nan_to_num(depends, nan=1.0), 0.0).max(axis=-1)
    # A method without a required check is not part of the family.
    worst = np.where(required.any(axis=-1), worst, np.nan)
    return np.asarray((holm(worst) if family == "study" else worst) <= alpha)


def checks_failed(fails: Array, required: Flags, alpha: float, family: str) -> Flags:
    """Which required checks a method fails (..., methods, checks): Holm over its checks, or over the whole study's."""
    # A required check without data is not shown to fail, but stays in the family that Holm corrects for.
    p = np.where(required, np.nan_to_num(fails, nan=1.0), np.nan)
    if family == "study":
        flat = p.reshape(*p.shape[:-2], -1)
        return np.asarray(holm(flat).reshape(p.shape) <= alpha)
    return np.asarray(holm(p) <= alpha)


def decided(depends: Array, fails: Array, failed: Flags, required: Flags, alpha: float, family: str) -> Flags:
    """Where more seeds are not needed (..., methods, checks).

    A check that does not matter must pass the first step of Holm, or the method could never fail. Once the method has
    failed by some check (*failed*, same axes), the others only need their own verdict.
    """
    checks = np.maximum(required.sum(axis=-1, keepdims=True), 1)
    methods = np.maximum(required.any(axis=-1).sum(axis=-1), 1)[..., None, None]
    family_size = methods if family == "study" else 1
    has_failed = (failed & required).any(axis=-1, keepdims=True)
    level = np.where(has_failed, alpha, alpha / (checks * family_size))
    return np.asarray((depends <= alpha / np.where(has_failed, 1, family_size)) | (fails <= level))
