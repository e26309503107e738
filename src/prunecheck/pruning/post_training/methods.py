"""The post-training methods. torch is imported when a method is called: the command line lists them without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import PluginError
from prunecheck.pruning.post_training import decorators
from prunecheck.pruning.registry import built_in

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.post_training.selection import Select
    from prunecheck.pruning.seeds import Rng

post_training_method = built_in(decorators.post_training_method)


@post_training_method(name="random", aliases=("rand",))
def random_scores(weight: Tensor, rng: Rng) -> Tensor:
    """Random weights stay: the reference that every choice of weights has to beat."""
    import torch

    return torch.from_numpy(rng.random(tuple(weight.shape)))


@post_training_method(aliases=("mag",), paper="Han et al. 2015")
def magnitude(weight: Tensor) -> Tensor:
    """The largest weights of each layer stay; no calibration text is used.

    Wanda's repository prunes so as its baseline, with a threshold (``<=``) that removes one weight more and all ties.
    """
    return weight.abs()


@post_training_method(granularity="row", paper="Sun et al. 2024")
def wanda(weight: Tensor, norms: Tensor) -> Tensor:
    """Weight times the norm of its input, compared within each output (Wanda); kept weights stay as they are.

    The scores equal those of locuslab/wanda to the bit. The selection differs in two things: ``int(inputs * sparsity)``
    weights of a row go there, here the rounded number; among equal scores the earlier weight goes there and stays here.
    """
    return weight.abs() * norms


@post_training_method(paper="Zhang et al. 2024")
def ria(weight: Tensor, norms: Tensor, power: float = 0.5) -> Tensor:
    """The share a weight has of its row and of its column, times a power of the norm of its input (RIA).

    ``power``: ``a`` of the paper. Without the reallocation of channels, a second method of the paper, for N:M. A row or
    column that is zero throughout counts as 0, where the published code divides by zero. In its repository
    (biomedical-cybernetics/Relative-importance-and-activation-pruning) all weights of a layer compete, as here, unless
    each output is asked for; its threshold (``<=``) removes one weight more. Per output and in N:M the masks are equal.
    """
    size = weight.abs()
    of_column, of_row = size.sum(dim=0), size.sum(dim=1).reshape(-1, 1)
    of_column, of_row = of_column.masked_fill(of_column == 0, 1), of_row.masked_fill(of_row == 0, 1)
    scores: Tensor = (size / of_column + size / of_row) * norms**power
    return scores


@post_training_method(gives="weights", paper="Frantar & Alistarh 2023")
def sparsegpt(
    weight: Tensor, gram: Tensor, select: Select, dampening: float = 0.01, columns: int = 128
) -> tuple[Tensor, Tensor]:
    """Prunes column by column and changes the columns that follow to make up for it (SparseGPT).

    ``dampening``: times the mean of the diagonal, added to the diagonal of ``gram``. ``columns``: how many are pruned
    together; with granularity "layer", the default, all weights of so many columns compete. Masks and weights equal
    those of IST-DASLab/sparsegpt for equal selections. The selection differs: of n weights of a block of columns,
    ``int(n * sparsity) + 1`` and all ties of the last one go there; here the rounded number, exact over the layer, and
    among equal scores the earlier weight stays. N:M is chosen as there, group by group, from the changed weights; of
    equal scores in a group the earlier stays. Raises PluginError where the matrix cannot be inverted.
    """
    import torch

    if columns < 1 or (select.group is not None and columns % select.group):
        of_group = f" in steps of {select.group}, the M of N:M" if select.group else ""
        raise PluginError(f"sparsegpt: columns = {columns} must be a whole number from 1{of_group}.")
    new, kept = weight.clone(), torch.zeros_like(weight, dtype=torch.bool)
    upper = _inverse_root(gram, dampening)
    new[:, gram.diagonal() == 0] = 0
    for start in range(0, weight.shape[1], columns):
        stop = min(start + columns, weight.shape[1])
        block, own = new[:, start:stop].clone(), upper[start:stop, start:stop]
        errors, scale = torch.zeros_like(block), own.diagonal() ** 2
        width = select.group or stop - start
        for i in range(stop - start):
            if i % width == 0:
                kept[:, start + i : start + i + width] = select(
                    block[:, i : i + width] ** 2 / scale[i : i + width], start + i
                )
            stays = kept[:, start + i]
            errors[:, i] = block[:, i].masked_fill(stays, 0) / own[i, i]
            new[:, start + i] = block[:, i].masked_fill(~stays, 0)
            block[:, i + 1 :] -= errors[:, i : i + 1] * own[i, i + 1 :]
        new[:, stop:] -= errors @ upper[start:stop, stop:]
    return new, kept


def _inverse_root(gram: Tensor, dampening: float) -> Tensor:
    """The upper Cholesky factor of the inverse of the dampened matrix: its row i holds what removing column i does to
    the columns from i on. Inputs that are always 0 count as independent."""
    import torch

    matrix = gram.clone()
    diagonal = matrix.diagonal()
    diagonal[diagonal == 0] = 1
    diagonal += dampening * diagonal.mean()
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        root: Tensor = torch.linalg.cholesky(inverse, upper=True)
    except RuntimeError:  # torch.linalg.LinAlgError is one, which the stubs do not export
        raise PluginError(
            f"sparsegpt: too few different calibration tokens to invert the matrix of the inputs with dampening = "
            f"{dampening:g}; use more tokens or a larger dampening."
        ) from None
    return root
