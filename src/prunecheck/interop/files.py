"""Reads tensors from files of other programs. Nothing read here can run code: pickle files are refused, except .pt
files through ``torch.load(weights_only=True)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from prunecheck.errors import StudyError
from prunecheck.text import printable, printable_path

NESTED = ("state_dict", "model_state_dict", "model", "masks")
"""Entries of checkpoints that hold the tensors."""


SAFE_TORCH = "2.10"
"""The first version of torch whose restricted pickle reader has no known vulnerability."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, ``.npz`` or (torch >= 2.10) ``.pt``/``.pth``/``.bin``/``.ckpt`` file.

    Raises StudyError for a file that is missing, incomplete, of another kind, or holds anything but tensors.
    """
    shown = printable_path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise StudyError(f"{shown}: masks and weights are read from {', '.join(_READERS)} files.")
    if not path.is_file():
        raise StudyError(f"{shown} does not exist or is not a file.")
    tensors = reader(path, shown)
    if not tensors:
        raise StudyError(f"{shown} holds no tensor.")
    return tensors


def _safetensors(path: Path, shown: str) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise StudyError(f"{shown} is not a safetensors file: {printable(str(error), 120)}.") from None


def _npz(path: Path, shown: str) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, BadZipFile, MemoryError, AttributeError) as error:
        raise StudyError(f"{shown} is not an npz file of plain numbers: {printable(str(error), 120)}.") from None


def _checkpoint(path: Path, shown: str) -> dict[str, Tensor]:
    """torch's restricted reader, in versions without a known vulnerability.

    ``weights_only=True`` could be made to run code before torch 2.6 (CVE-2025-32434) and 2.10 (CVE-2026-24747).
    """
    if torch.__version__ < SAFE_TORCH:
        raise StudyError(f"{shown}: such files are read with torch >= {SAFE_TORCH} only, for safety. Use .safetensors.")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        raise StudyError(
            f"{shown} holds more than plain tensors (or is damaged) and was not read: it could run code.\n"
            "Save model.state_dict() alone, best with safetensors.torch.save_file."
        ) from None
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise StudyError(f"{shown} holds a {type(content).__name__}, not named tensors.")
    return {
        str(name): value
        for name, value in content.items()
        if isinstance(value, Tensor) and value.layout == torch.strided
    }


_READERS: dict[str, Callable[[Path, str], dict[str, Tensor]]] = {
    ".safetensors": _safetensors,
    ".npz": _npz,
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt"), _checkpoint),
}
