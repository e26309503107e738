"""One seed, named streams.

Every random draw of a study comes from ``stream(seed, *purpose)``: what a draw is for decides its stream, so that the
same seed gives the same initialisation, order and augmentation in every arm, and adding a method or a check moves no
other draw. No global generator is ever used or seeded for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # plug-ins name it in their signatures, and the command line lists them without importing numpy
    import numpy as np

    Rng = np.random.Generator


def number(seed: int, *purpose: str | int) -> int:
    """A 128-bit integer that is a pure function of seed and purpose."""
    text = "/".join([str(seed), *(str(p) for p in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def stream(seed: int, *purpose: str | int) -> Rng:
    """A fresh numpy generator (PCG64) for one purpose under one seed."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(number(seed, *purpose)))


@contextmanager
def torch_stream(seed: int, *purpose: str | int) -> Iterator[None]:
    """Within the block torch's global generators (CPU and CUDA) follow one named stream; afterwards, and so do
    Python's and numpy's, they stand where they stood: for initialisers and dropout, which can use no other."""
    import random

    import numpy as np
    import torch

    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        value = number(seed, *purpose)
        torch.manual_seed(value % 2**63)
        random.seed(value)
        np.random.seed(value % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
