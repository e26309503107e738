"""Which weights of one linear layer stay: exact counts, ties to the earlier weight, counted."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning.masks import as_array, keep_top
from prunecheck.pruning.patterns import Pattern
from prunecheck.pruning.post_training_plugins import Granularity


class Select:
    """``select(scores, start=0)``: the mask of the columns from *start* on that *scores* [outputs, columns] are of.

    Over a layer exactly *kept* weights stay. Columns that are selected apart from each other get their part of them,
    rounded so that the total is exact. ``row``: every output keeps as many, the first ones one more where *kept* is no
    multiple. ``tied`` counts the kept weights that were preferred to others of the same score by position alone.
    """

    def __init__(
        self, shape: tuple[int, int], kept: int, granularity: Granularity, pattern: Pattern | None = None
    ) -> None:
        self._shape, self._kept, self._pattern = shape, kept, pattern
        self._rows = granularity == "row"
        self.tied = 0

    @property
    def group(self) -> int | None:
        """The M of N:M: columns from a multiple of M on, M or a multiple of them, must be selected together."""
        return None if self._pattern is None else self._pattern.size[1]

    def __call__(self, scores: Tensor, start: int = 0) -> Tensor:
        stop = start + scores.shape[1]
        if scores.ndim != 2 or scores.shape[0] != self._shape[0] or not 0 <= start < stop <= self._shape[1]:
            raise PluginError(f"select() got scores {tuple(scores.shape)} from column {start} on of {self._shape}.")
        bad = int((~torch.isfinite(scores)).sum())
        if bad:
            raise PluginError(f"{bad} of {scores.numel()} scores are NaN or infinite.")
        if self._pattern is not None:
            return self._of_groups(scores, start)
        if self._rows:
            few, more = divmod(self._kept, self._shape[0])
            counts = np.full(self._shape[0], self._part(few, start, stop))
            counts[:more] = self._part(few + 1, start, stop)
            return self._best(scores, counts)
        chosen = keep_top({"": scores}, {"": self._part(self._kept, start, stop)})
        self.tied += chosen.tied
        return chosen.masks[""]

    def _part(self, kept: int, start: int, stop: int) -> int:
        """How many of *kept* weights are due to the columns from *start* to *stop*."""
        return round(Fraction(kept * stop, self._shape[1])) - round(Fraction(kept * start, self._shape[1]))

    def _of_groups(self, scores: Tensor, start: int) -> Tensor:
        assert self._pattern is not None
        n, m = self._pattern.size
        if start % m or scores.shape[1] % m:
            raise PluginError(f"select() got columns {start} to {start + scores.shape[1]}, which cut a group of {m}.")
        groups = scores.reshape(-1, m)
        return self._best(groups, np.full(len(groups), n)).reshape(scores.shape)

    def _best(self, scores: Tensor, counts: np.ndarray) -> Tensor:
        """In every row as many of the largest as *counts* says; ties to the earlier column."""
        values = as_array(scores).reshape(scores.shape)
        mask = np.zeros(values.shape, dtype=bool)
        for kept in np.unique(counts):
            rows = counts == kept
            mask[rows] = self._top(values if rows.all() else values[rows], int(kept))
        return torch.from_numpy(mask).to(scores.device)

    def _top(self, values: np.ndarray, kept: int) -> np.ndarray:
        if not 0 < kept < values.shape[1]:
            return np.full(values.shape, kept > 0)
        place = values.shape[1] - kept
        cut = np.partition(values, place, axis=1)[:, place : place + 1]
        mask: np.ndarray = values > cut
        missing = kept - mask.sum(axis=1)
        at_cut = values == cut
        decided = at_cut.sum(axis=1) > missing
        mask |= at_cut
        if decided.any():
            surplus = at_cut[decided] & (at_cut[decided].cumsum(axis=1) > missing[decided, None])
            mask[decided] &= ~surplus
            self.tied += int(missing[decided].sum())
        return mask


class Selected:
    """A selection that is already made, in the form of ``Select``."""

    def __init__(self, mask: Tensor, pattern: Pattern | None) -> None:
        self._mask = mask
        self.group = None if pattern is None else pattern.size[1]

    def __call__(self, scores: Tensor, start: int = 0) -> Tensor:
        return self._mask[:, start : start + scores.shape[1]].clone()
