"""torch's SGD without the import of ``torch._dynamo``, which takes longer than that of torch.

The first optimiser of a process imports the compiler, only to mark methods that it must not compile. Nothing is
compiled here, and a slot of a cluster may be a minute, so these methods are taken without the marks.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch.optim import Optimizer


class SGD(torch.optim.SGD):
    """``torch.optim.SGD``, with the same arguments and the same bits, for code that is not compiled."""

    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        return unwrap(torch.optim.SGD.step)(self, closure)
