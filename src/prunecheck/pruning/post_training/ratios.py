"""How much each block keeps: the same share, or more where a block has more outliers (OWL)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from prunecheck.errors import InfeasibleError


def outliers(scores: Iterable[Tensor], threshold: float) -> float:
    """The percentage of scores above *threshold* times their mean, over all layers of a block together."""
    parts = list(scores)
    size = sum(part.numel() for part in parts)
    cut = sum(float(part.double().sum()) for part in parts) / size * threshold
    return sum(int((part > cut).sum()) for part in parts) / size * 100


def owl_shares(percentages: Sequence[float], sparsity: float, spread: float) -> np.ndarray:
    """The share of its weights that each block keeps, higher where *percentages* (of outliers) is (Yin et al. 2024).

    They span 2 * *spread* and their mean is 1 - *sparsity*; the formula of luuyin/OWL, whose ``Lamda`` is *spread*.
    Raises InfeasibleError where blocks do not differ, or a share is not in (0, 1]: the published code
    removes 1 % of a block that should keep more than all.
    """
    found = np.asarray(percentages, dtype=np.float64)
    span = found.max() - found.min()
    if not span:
        raise InfeasibleError("ratios = 'owl': all blocks have the same share of outliers; use ratios = 'uniform'.")
    shares: np.ndarray = (found - found.min()) * (1 / span * spread * 2)
    shares = shares - shares.mean() + (1 - sparsity)
    if shares.min() <= 0 or shares.max() > 1:
        raise InfeasibleError(
            f"ratios = 'owl': at sparsity {sparsity:g} the blocks would keep {shares.min():.3f} to {shares.max():.3f} "
            f"of their weights; use a spread below {spread:g}."
        )
    return shares
