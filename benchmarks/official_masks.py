"""How the official code of Su et al. 2020 makes masks, written again in our words to be timed: lists of float masks."""

from __future__ import annotations

import torch
from torch import Tensor


def by_topk(scores: list[Tensor], kept: int) -> list[Tensor]:
    """pruner/SNIP.py: all scores in one vector, divided by their sum, the *kept* largest in order, the last of them
    is the threshold."""
    pool = torch.cat([score.flatten() for score in scores])
    norm = pool.sum().abs() + 1e-10
    pool.div_(norm)
    largest, _ = torch.topk(pool, kept, sorted=True)
    return [((score / norm) >= largest[-1]).float() for score in scores]


def by_sort(scores: list[Tensor], kept: int) -> list[Tensor]:
    """LT_prune.py: all scores in one vector, sorted whole; above the last that is pruned stays."""
    pool = torch.zeros(sum(score.numel() for score in scores))
    start = 0
    for score in scores:
        pool[start : start + score.numel()] = score.view(-1)
        start += score.numel()
    ordered, _ = torch.sort(pool)
    cut = ordered[len(pool) - kept - 1]
    return [score.gt(cut).float() for score in scores]


def at_random(weights: list[Tensor], counts: list[int]) -> list[Tensor]:
    """pruner/SmartRatio.py: *count* ones, then zeros, permuted."""
    masks = []
    for weight, count in zip(weights, counts, strict=True):
        mask = weight.abs().clone().float().view(-1)
        mask[:count] = torch.ones(count)
        mask[count:] = torch.zeros(len(mask) - count)
        masks.append(mask[torch.randperm(len(mask))].view(weight.shape))
    return masks
