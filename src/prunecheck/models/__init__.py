"""The networks: the paper's ResNets and VGGs, small ones for seconds, and a bridge to everybody else's.

Importing this room costs nothing: torch is loaded by ``build``, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import ModelError
from prunecheck.models.catalogue import ALIASES, MODELS, ModelEntry, canonical, names
from prunecheck.models.code import code_of, look_in
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
    "look_in",
    "names",
    "summary",
]


def is_external(name: str) -> bool:
    """True for ``torchvision:NAME``, ``timm:NAME``, ``package.module:attr`` and ``file.py:attr``."""
    return ":" in name


def summary(name: str) -> str:
    """One line about a model. Raises ModelError for a name nobody knows."""
    if is_external(name):
        return f"{printable(name)}, not one of ours"
    return _entry(name).summary


def build(name: str, *, num_classes: int, in_channels: int = 3, image_size: int = 32) -> nn.Module:
    """A freshly initialised network that maps ``[N, in_channels, image_size, image_size]`` to ``[N, num_classes]``.

    The initial weights are drawn from torch's global generator, which the caller has seeded. External names are
    called with those of ``num_classes``, ``in_channels`` and ``image_size`` that their signature accepts.
    Raises ModelError for an unknown name, a package that is not installed, or images the network cannot take.
    """
    from prunecheck.models.external import build_external, call_factory, find_attribute

    if num_classes < 2 or in_channels < 1 or image_size < 1:
        raise ModelError(
            f"model {printable(name)!r}: num_classes={num_classes}, in_channels={in_channels}, "
            f"image_size={image_size}; it takes at least 2 classes, 1 channel and 1 pixel."
        )
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    if is_external(name):
        return build_external(name, shape)
    entry = _entry(name)
    return call_factory(find_attribute(entry.factory), shape, entry.options)


def _entry(name: str) -> ModelEntry:
    entry = MODELS.get(canonical(name))
    if entry is None:
        raise ModelError(unknown("model", name, [*MODELS, *ALIASES]))
    return entry
