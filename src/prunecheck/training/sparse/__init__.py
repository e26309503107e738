"""Training on a CPU that computes only kept weights: forward pass, gradients and optimiser state.

Optional: needs numba (``pip install "prunecheck[sparse]"``). Importing this package loads neither torch nor numba.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version_of
from importlib.util import find_spec
from typing import TYPE_CHECKING

from prunecheck.training.sparse.fallback import Dense

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunecheck.training.sparse.network import SparseNetwork

__all__ = ["BACKEND_VERSION", "BFLOAT16_VERSION", "Dense", "sparse_network", "unavailable", "version", "warm"]

BACKEND_VERSION = 1
"""raised whenever the same network and masks would give other bits"""
BFLOAT16_VERSION = 2
"""the same of bfloat16 without AVX-512: version 1 had scalar loops there, which sum in another order"""


def unavailable() -> str | None:
    """Why sparse training is impossible here, in one sentence; None if it is possible."""
    if find_spec("numba") is None:
        return "numba is not installed (prunecheck[sparse] holds it)"
    return None


def version(number: int = BACKEND_VERSION) -> str:
    """The versions that bits depend on: ours, which is *number*, and numba's."""
    try:
        return f"{number}/numba-{_version_of('numba')}"
    except PackageNotFoundError:
        return f"{number}/no numba"


def sparse_network(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example: Tensor,
    precision: str = "float32",
    instructions: Collection[str] = (),
) -> SparseNetwork:
    """A copy of *model* that computes only what *masks* keep; see
    :func:`prunecheck.training.sparse.network.sparse_network`.

    Raises Dense, with the reason, where the ordinary dense path should be used.
    """
    reason = unavailable()
    if reason is not None:
        raise Dense(reason)
    try:
        from prunecheck.training.sparse.network import sparse_network as made
    except ImportError as error:  # numba is installed and does not fit this Python or numpy
        raise Dense(f"numba cannot be loaded ({error})") from error
    return made(model, masks, example, precision, instructions)


def warm() -> None:
    """Compile every loop: some twenty seconds once per machine, afterwards they are read from disk.

    Needs numba.
    """
    from prunecheck.training.sparse.operations import warm as compile_all

    compile_all()
