"""Checks of post-training methods, one intervention point after the other: calibration tokens, statistics of the
inputs, masks, weights, ratios of the blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from prunecheck.errors import PluginError
from prunecheck.pruning.post_training import decorators
from prunecheck.pruning.registry import built_in

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng

post_training_check = built_in(decorators.post_training_check)


@post_training_check(
    at="tokens",
    destroys="the calibration text: every token is drawn uniformly from the vocabulary",
    keeps="the number and length of the sequences",
    paper="Williams & Aletras 2024",
)
def random_tokens(tokens: Tensor, vocabulary: int, rng: Rng) -> Tensor:
    """Calibrate on random tokens instead of text."""
    import torch

    return torch.from_numpy(rng.integers(vocabulary, size=tuple(tokens.shape)))


@post_training_check(
    at="tokens",
    destroys="the order of the tokens in every calibration sequence",
    keeps="the tokens of every sequence",
)
def shuffled_tokens(tokens: Tensor, rng: Rng) -> Tensor:
    """Calibrate on the same sequences with their tokens in random order."""
    import torch

    return torch.from_numpy(rng.permuted(tokens.numpy(), axis=1))


@post_training_check(
    at="tokens",
    destroys="the domain of the calibration text",
    keeps="the number and length of the sequences; it is still text",
    paper="Williams & Aletras 2024",
)
def other_text(tokens: Tensor, other: Tensor) -> Tensor:
    """Calibrate on sequences of another text."""
    if other.shape != tokens.shape:
        raise PluginError(f"other_text: {tuple(other.shape)} tokens of the other text; {tuple(tokens.shape)} needed.")
    return other


@post_training_check(
    at="tokens",
    destroys="most of the calibration text",
    keeps="the first sequences, unchanged",
)
def few_tokens(tokens: Tensor, sequences: int = 1) -> Tensor:
    """Calibrate on the first of the sequences only."""
    if not 1 <= sequences < len(tokens):
        raise PluginError(f"few_tokens: sequences = {sequences} must be from 1 to {len(tokens) - 1}, fewer than drawn.")
    return tokens[:sequences].clone()


@post_training_check(
    at="statistics",
    destroys="which input of a layer has which norm, and which correlations",
    keeps="the norms and correlations themselves",
)
def permuted_norms(norms: Tensor, gram: Tensor | None, rng: Rng) -> tuple[Tensor, Tensor | None]:
    """Permute the inputs of every layer in what was measured of them; the weights stay where they are.

    One permutation per layer, for the norms and for rows and columns of the matrix of products alike.
    """
    import torch

    order = torch.from_numpy(rng.permutation(len(norms))).to(norms.device)
    return norms[order], None if gram is None else gram[order][:, order]


@post_training_check(
    at="masks",
    destroys="which inputs an output keeps",
    keeps="how many weights every output keeps, and N:M",
)
def rearranged_rows(mask: Tensor, pattern: str | None, rng: Rng) -> Tensor:
    """The same number of kept weights in every row, at random positions.

    The weights at the new positions keep their own values; a method that changes weights does so for the new mask.
    """
    import torch

    rows = mask.cpu().numpy()
    if pattern is not None:
        m = int(pattern.split(":")[1])
        return torch.from_numpy(rng.permuted(rows.reshape(-1, m), axis=1)).reshape(mask.shape)
    return torch.from_numpy(rng.permuted(rows, axis=1))


@post_training_check(
    at="masks",
    destroys="which weights of a layer are kept",
    keeps="how many weights every layer keeps, and N:M",
    paper="Su et al. 2020",
    aliases=("rearranged_layer",),
)
def layerwise_rearrange(mask: Tensor, pattern: str | None, rng: Rng) -> Tensor:
    """The same number of kept weights in every layer, at random positions.

    The weights at the new positions keep their own values; a method that changes weights does so for the new mask.
    Under N:M the weights are rearranged in their groups, as in ``rearranged_rows``.
    """
    from prunecheck.pruning.masks import permuted

    return permuted(mask, rng) if pattern is None else cast("Tensor", rearranged_rows(mask, pattern, rng))


@post_training_check(
    at="masks",
    destroys="which inputs an output keeps, for the given share of them",
    keeps="how many weights every output keeps, and the positions of all others",
)
def planted(mask: Tensor, pattern: str | None, rng: Rng, share: float = 0.1) -> Tensor:
    """Exchange a share of the kept positions of every row for positions that are not kept.

    A control, not a question: it shows how small a loss the study can see. Under N:M, a share of the groups is
    rearranged.
    """
    import numpy as np
    import torch

    if not 0 < share <= 1:
        raise PluginError(f"planted: share = {share:g} must lie in (0, 1].")
    rows = mask.cpu().numpy().copy()
    if pattern is not None:
        groups = rows.reshape(-1, int(pattern.split(":")[1]))
        moving = rng.choice(len(groups), max(1, round(share * len(groups))), replace=False)
        groups[moving] = rng.permuted(groups[moving], axis=1)
        return torch.from_numpy(groups.reshape(rows.shape))
    for row in rows:
        kept, free = np.flatnonzero(row), np.flatnonzero(~row)
        moved = min(round(share * len(kept)), len(free))
        row[rng.choice(kept, moved, replace=False)] = False
        row[rng.choice(free, moved, replace=False)] = True
    return torch.from_numpy(rows)


@post_training_check(
    at="weights",
    needs_update=True,
    destroys="the change of the kept weights",
    keeps="the mask that the method chose",
)
def update_withheld(original: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
    """Keep the method's mask; the kept weights have their values from before pruning."""
    return (original * mask).to(weight.dtype)


@post_training_check(
    at="weights",
    needs_update=True,
    destroys="which kept weight gets which change",
    keeps="the mask, and the changes of every layer themselves",
)
def update_shuffled(original: Tensor, weight: Tensor, mask: Tensor, rng: Rng) -> Tensor:
    """Keep the method's mask; permute the changes of the kept weights inside each layer."""
    import torch

    changed = weight.clone()
    change = (weight - original)[mask]
    order = torch.from_numpy(rng.permutation(len(change))).to(change.device)
    changed[mask] = original[mask] + change[order]
    return changed


@post_training_check(
    at="weights",
    destroys="which kept position of an output holds which value",
    keeps="the mask, and the kept values of every output",
    paper="Su et al. 2020",
    aliases=("shuffled_values",),
)
def rowwise_weight_shuffle(weight: Tensor, mask: Tensor, rng: Rng) -> Tensor:
    """Keep the mask, permute the kept weights inside each row."""
    import torch

    shuffled = weight.clone()
    for row, kept in zip(shuffled, mask, strict=True):
        values = row[kept]
        row[kept] = values[torch.from_numpy(rng.permutation(len(values))).to(values.device)]
    return shuffled


@post_training_check(
    at="ratios",
    destroys="which block keeps which share",
    keeps="the shares, and the total of kept weights",
)
def permuted_ratios(ratios: np.ndarray, rng: Rng) -> np.ndarray:
    """The method's shares, given to other blocks."""
    import numpy as np

    while True:
        permuted = rng.permutation(ratios)
        # With few blocks the same order is a likely draw.
        if not np.array_equal(permuted, ratios) or (ratios == ratios[0]).all():
            return permuted


@post_training_check(
    at="ratios",
    destroys="the differences between blocks: all keep the same share",
    keeps="the total of kept weights",
)
def uniform_ratios(ratios: np.ndarray) -> np.ndarray:
    """Every block keeps the same share."""
    import numpy as np

    return np.full_like(ratios, ratios.mean())
