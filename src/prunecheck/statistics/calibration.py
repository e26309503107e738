"""The share of alpha that is used, chosen by simulation, so that the error rate holds where variances are moderated."""

from __future__ import annotations

import numpy as np

from prunecheck.statistics.variance import SHARED, Numbers

ENOUGH_CELLS = 4.0
MANY, FEW = 0.9, 0.8


def calibration(owners: Numbers, sequential: bool) -> float:
    """The share of alpha that is used, for cells with these clean arms (see ``variance.noise``)."""
    if not sequential:
        return 1.0
    _, counts = np.unique(owners, return_counts=True)
    cells = float(sum(count / (1 + (count - 1) * SHARED**2) for count in counts))
    return MANY if cells >= ENOUGH_CELLS else FEW
