"""The networks: ResNets and VGGs for CIFAR, small ones that train in seconds, and networks from outside the package.

Importing this package does not import torch: ``build`` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunecheck.errors import ModelError
from prunecheck.models.catalogue import ALIASES, MODELS, ModelEntry, canonical, names
from prunecheck.models.external import build_external, call_factory, code_of, find_attribute, is_external, unwrapped
from prunecheck.text import printable, unknown

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ALIASES",
    "MODELS",
    "ModelEntry",
    "build",
    "canonical",
    "code_of",
    "is_external",
    "names",
    "summary",
    "unwrapped",
]


def summary(name: str) -> str:
    """One line about a model. Raises ModelError for an unknown name."""
    if is_external(name):
        return f"{printable(name)}, from outside the package"
    return _entry(name).summary


def build(
    name: str,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 32,
    *,
    folder: Path | None = None,
    code: str | None = None,
) -> nn.Module:
    """A freshly initialised network that maps ``[N, in_channels, image_size, image_size]`` to ``[N, num_classes]``.

    The initial weights are drawn from torch's global generator, which the caller has seeded. External names are
    called with those of ``num_classes``, ``in_channels`` and ``image_size`` that their signature accepts. ``folder``:
    where ``file.py:attr`` is looked for before the current folder. ``code``: what ``code_of`` gave; an external network
    whose code is another by now is refused. Raises ModelError for an unknown name, a package that is
    not installed, or images the network cannot take.
    """
    if num_classes < 2 or in_channels < 1 or image_size < 1:
        raise ModelError(
            f"model {printable(name)!r}: num_classes={num_classes}, in_channels={in_channels}, "
            f"image_size={image_size}; it takes at least 2 classes, 1 channel and 1 pixel."
        )
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    if is_external(name):
        return build_external(name, shape, folder, code)
    entry = _entry(name)
    return call_factory(find_attribute(entry.factory), shape, entry.options)


def _entry(name: str) -> ModelEntry:
    entry = MODELS.get(canonical(name))
    if entry is None and f"{name}_bn" in MODELS:  # the official code has both, so the name alone decides too much
        raise ModelError(f"model {name!r}: only VGGs with batch norm are here. The paper's is {f'{name}_bn'!r}.")
    if entry is None:
        raise ModelError(unknown("model", name, [*MODELS, *ALIASES]))
    return entry
