"""The structure of a finished mask: recognised from the mask alone, and kept by other arrangements of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import lgamma, log
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning.masks import random_mask
from prunecheck.pruning.patterns import LARGEST, Pattern, parse_pattern

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

BY_CHANCE = 1e-9
"""A pattern is recognised where a mask that keeps as many weights at random shows it with a smaller probability."""
BY_CHANCE_BESIDE = 1e-3
"""The same for a small layer of a mask in which another layer shows the pattern clearly."""


FEW = 1000
"""groups that are tried before all of them"""


def patterns_of(masks: Mapping[str, Tensor], known: Pattern | None = None) -> dict[str, str | None]:
    """The structured pattern of every layer, in the words of a study's ``pattern``; None where there is none.

    A layer that is whole or empty has none. Recognised are, in this order: whole outputs (``filters`` of a convolution,
    ``rows`` of a linear layer, also several that follow each other, such as ``64 rows``), whole inputs (``columns``),
    whole ``kernels``, N of every M inputs with the smallest M, and aligned blocks, the largest that fit. ``known``: the
    pattern a study asked for; layers that follow it need not be recognised by their size.
    """
    clear = {name: _recognise(mask, BY_CHANCE) for name, mask in masks.items()}
    seen = {_family(pattern) for pattern in clear.values() if pattern is not None}
    found: dict[str, str | None] = {}
    for name, mask in masks.items():
        pattern = clear[name]
        if pattern is None and seen:
            weaker = _recognise(mask, BY_CHANCE_BESIDE)
            pattern = weaker if weaker is not None and _family(weaker) in seen else None
        if known is not None and has_pattern(mask, known):
            pattern = known
        found[name] = None if pattern is None else str(pattern)
    return found


def _family(pattern: Pattern) -> tuple[str, tuple[int, int]]:
    """What two layers of one structured mask have in common: the filters of one are the rows of another."""
    return ("rows" if pattern.kind == "filters" else pattern.kind), pattern.size


def has_pattern(mask: Tensor, pattern: Pattern) -> bool:
    """Whether the mask has the pattern. False where all is kept, or nothing, or the shape does not fit."""
    if not pattern.fits(mask.shape) or bool(mask.all()) or not bool(mask.any()):
        return False
    kept = _flat(mask)[pattern.groups(mask.shape)].sum(axis=1)
    if pattern.is_within_groups:
        return bool((kept == pattern.size[0]).all())
    return bool(np.isin(kept, (0, mask.numel() // len(kept))).all())


def _recognise(mask: Tensor, by_chance: float) -> Pattern | None:
    shape, n, kept = tuple(mask.shape), mask.numel(), int(mask.sum())
    if len(shape) < 2 or kept in (0, n):
        return None
    whole = (Pattern("rows" if len(shape) == 2 else "filters"), Pattern("columns"), Pattern("kernels"))
    limit, matrix = log(by_chance), np.moveaxis(mask.cpu().numpy(), 1, -1).reshape(shape[0], -1)
    for pattern in whole:
        if has_pattern(mask, pattern):
            groups = len(pattern.groups(shape))
            stay = kept * groups // n
            if _log_choices(groups, stay) - _log_choices(n, kept) < limit:
                return _together(pattern, mask, groups, stay, limit)
    return _within_groups(matrix, shape[1], kept, limit) or _blocks(matrix, shape[1], kept, limit)


def _together(pattern: Pattern, mask: Tensor, groups: int, stay: int, limit: float) -> Pattern:
    """The pattern with as many neighbours in a group as always stay or go together, where that is no chance."""
    if pattern.kind == "kernels":
        return pattern
    flags = np.moveaxis(mask.cpu().numpy(), int(pattern.kind == "columns"), 0).reshape(groups, -1)
    size = _side(flags, groups)
    likely = _log_choices(groups // size, stay // size) - _log_choices(groups, stay) >= limit
    return pattern if likely else Pattern(pattern.kind, (size, 1))


def _within_groups(matrix: np.ndarray, inputs: int, kept: int, limit: float) -> Pattern | None:
    for m in range(2, min(inputs, LARGEST) + 1):
        # N must be a whole number, which rules most sizes out before anything is computed.
        if inputs % m or kept * m % matrix.size:
            continue
        n, groups = kept * m // matrix.size, matrix.reshape(-1, m)
        # A few groups rule out the others of a mask that has no such pattern.
        if any(bool((part.sum(axis=1) != n).any()) for part in (groups[:FEW], groups)):
            continue
        if len(groups) * _log_choices(m, n) - _log_choices(matrix.size, kept) < limit:
            return Pattern("n:m", (n, m))
    return None


def _blocks(matrix: np.ndarray, inputs: int, kept: int, limit: float) -> Pattern | None:
    rows, columns = _side(matrix, len(matrix)), _side(matrix.T, inputs)
    area = rows * columns
    chance = _log_choices(matrix.size // area, kept // area) - _log_choices(matrix.size, kept)
    return Pattern("blocks", (rows, columns)) if area > 1 and chance < limit else None


def _side(matrix: np.ndarray, period: int) -> int:
    """The largest number of neighbouring rows of *matrix*, a divisor of *period*, that are equal in all such groups."""
    borders = np.flatnonzero((matrix[1:] != matrix[:-1]).any(axis=1)) + 1
    largest = math.gcd(period, *borders.tolist())
    return max(side for side in range(1, min(LARGEST, largest) + 1) if largest % side == 0)


def _log_choices(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose k of n."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _flat(mask: Tensor) -> np.ndarray:
    flat: np.ndarray = mask.reshape(-1).cpu().numpy()
    return flat


def other_arrangement(masks: Mapping[str, Tensor], patterns: Mapping[str, str | None], rng: Rng) -> dict[str, Tensor]:
    """Every mask rearranged in its own pattern, drawn again until one of those with a pattern differs: with few groups
    the same arrangement is a likely draw."""
    while True:
        answer = {name: rearranged(mask, patterns[name], rng) for name, mask in masks.items()}
        structured = [name for name in masks if patterns[name] is not None]
        if not structured or any(not torch.equal(answer[name], masks[name]) for name in structured):
            return answer


def rearranged(mask: Tensor, pattern: str | None, rng: Rng) -> Tensor:
    """Another mask of the same pattern with the same count, uniformly among all of them; without a pattern, at
    uniformly random positions. It may be the same one by chance. Raises PluginError for a mask without that pattern.
    """
    if pattern is None:
        return random_mask(tuple(mask.shape), int(mask.sum()), rng).to(mask.device)
    parsed = _validated(mask, pattern)
    flat, groups = _flat(mask).copy(), parsed.groups(mask.shape)
    if parsed.is_within_groups:
        flat[groups] = rng.permuted(flat[groups], axis=1)
    else:
        flat[groups] = rng.permutation(flat[groups[:, 0]])[:, None]
    return _shaped(flat, mask)


def partly_rearranged(mask: Tensor, pattern: str, rng: Rng, share: float) -> Tensor:
    """As ``rearranged``, for a share of the groups that keep weights: of N:M those groups are rearranged, of the others
    as many groups are kept elsewhere, at random among those that are not kept otherwise."""
    parsed = _validated(mask, pattern)
    flat, groups = _flat(mask).copy(), parsed.groups(mask.shape)
    kept = flat[groups[:, 0]] if not parsed.is_within_groups else np.ones(len(groups), dtype=bool)
    chosen = np.flatnonzero(kept)
    moving = rng.choice(chosen, max(1, round(share * len(chosen))), replace=False)
    if parsed.is_within_groups:
        flat[groups[moving]] = rng.permuted(flat[groups[moving]], axis=1)
    else:
        kept = kept.copy()
        kept[moving] = False
        kept[rng.choice(np.flatnonzero(~kept), len(moving), replace=False)] = True
        flat[groups] = kept[:, None]
    return _shaped(flat, mask)


def _validated(mask: Tensor, pattern: str) -> Pattern:
    parsed = parse_pattern(pattern)
    if not has_pattern(mask, parsed):
        raise PluginError(f"a mask of shape {tuple(mask.shape)} has not the pattern {pattern!r}.")
    return parsed


def _shaped(flat: np.ndarray, mask: Tensor) -> Tensor:
    return torch.from_numpy(flat).reshape(mask.shape).to(mask.device)
