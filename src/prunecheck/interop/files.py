"""Tensors out of files and mappings of any nesting. Nothing read here can run code: pickle files are rejected except
``.pt`` and its kin, through torch's restricted reader."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from prunecheck.errors import StudyError
from prunecheck.paths import file_problem
from prunecheck.text import listing, printable, printable_path

Nested: TypeAlias = dict[tuple[str, ...], Tensor]

SAFE_TORCH = "2.10"
"""The first version whose restricted reader of pickles has no known way around it (compared as a version)."""
LARGE = 2**30
EXPANSION = 100
"""What unpacks to more than ``LARGE`` bytes and to over ``EXPANSION`` times the size of its file is refused."""
MAX_DEPTH = 20


def read_tensors(path: Path) -> Nested:
    """The tensors of a ``.safetensors``, ``.npz`` or (torch >= 2.10) ``.pt``/``.pth``/``.bin``/``.ckpt`` file.

    By the names on all levels of nesting: ``("state_dict", "conv1.weight")``. All are dense and on the CPU. Raises
    StudyError for a file that is missing, torn, of another kind, or holds no tensor.
    """
    shown = printable_path(path)
    reader = _READERS.get(_suffix(path))
    if reader is None:
        raise StudyError(f"{shown}: masks and weights are read from {', '.join(_READERS)} files.")
    if problem := file_problem(path):
        raise StudyError(problem)
    _refuse_bomb(path, shown)
    content = reader(path, shown)
    if not isinstance(content, Mapping):
        raise StudyError(f"{shown} holds a {type(content).__name__}, not named tensors.")
    limit = max(LARGE, EXPANSION * path.stat().st_size)
    tensors = {
        path_: dense(shown, ".".join(path_), value, limit)
        for path_, value in leaves(content)
        if isinstance(value, Tensor)
    }
    if not tensors:
        keys = listing([printable(str(key), 40) for key in list(content)[:8]])
        raise StudyError(f"{shown} holds no tensor" + (f"; it holds {keys}." if keys else "."))
    return tensors


def leaves(content: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Everything that is no mapping, list or tuple itself, with the names and positions on the way to it."""
    if len(names) > MAX_DEPTH or not isinstance(content, (Mapping, list, tuple)):
        yield names, content
        return
    items = content.items() if isinstance(content, Mapping) else enumerate(content)
    for key, value in items:
        yield from leaves(value, (*names, str(key)))


def dense(where: str, name: str, value: Tensor, limit: float = float("inf")) -> Tensor:
    """A tensor with plain values: sparse and quantised ones are expanded, if that takes at most *limit* bytes.

    Raises StudyError for one without values, and for one above the limit.
    """
    shown = f"{where}: {printable(name)}"
    if value.is_meta:
        raise StudyError(f"{shown} has a shape and no values.")
    if value.numel() * value.element_size() > limit:
        size = " x ".join(map(str, value.shape))
        raise StudyError(f"{shown} claims to hold {size} values, far more than the file could.")
    try:
        if value.is_quantized:
            return value.dequantize()
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            warnings.simplefilter("ignore", UserWarning)  # "sparse CSR is in beta state"
            return value.detach() if value.layout == torch.strided else value.detach().to_dense()
    except RuntimeError as error:
        raise StudyError(f"{shown} cannot be read: {printable(error, 160)}.") from None


def _suffix(path: Path) -> str:
    """``.tar`` after another suffix says nothing: torch's examples call their checkpoints ``.pth.tar``."""
    name = path.name.lower()
    return Path(name.removesuffix(".tar")).suffix or Path(name).suffix


def _refuse_bomb(path: Path, shown: str) -> None:
    """Raises StudyError for an archive that unpacks to far more than its size, which would only fill the memory."""
    if path.suffix == ".safetensors" or not is_zipfile(path):
        return
    try:
        with ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (BadZipFile, OSError, ValueError):
        return  # the reader says what is wrong with it
    if unpacked > max(LARGE, EXPANSION * path.stat().st_size):
        raise StudyError(f"{shown} would unpack to {unpacked / 1e9:.3g} GB, over {EXPANSION} times its size.")


def _safetensors(path: Path, shown: str) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise StudyError(f"{shown} is not a safetensors file: {printable(error, 120)}.") from None


def _npz(path: Path, shown: str) -> Any:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: from_array(arrays[name]) for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, BadZipFile, MemoryError, AttributeError) as error:
        raise StudyError(f"{shown} is not an npz file of plain numbers: {printable(error, 120)}.") from None


def from_array(array: np.ndarray) -> Tensor:
    """A copy of an array of any byte order as a tensor. Raises TypeError for anything but numbers and bools."""
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))


def _checkpoint(path: Path, shown: str) -> Any:
    """torch's restricted reader, in versions in which no way around it is known.

    ``weights_only=True`` could be made to run code before torch 2.6 (CVE-2025-32434) and 2.10 (CVE-2026-24747).
    """
    if torch.__version__ < SAFE_TORCH:
        raise StudyError(f"{shown}: such files are read with torch >= {SAFE_TORCH} only, for safety. Use .safetensors.")
    try:
        # without the checks indices beyond the end of a sparse tensor would be followed
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        raise StudyError(
            f"{shown} holds more than plain tensors (or is damaged) and was not read: it could run code.\n"
            "Save model.state_dict() alone, best with safetensors.torch.save_file."
        ) from None


_READERS: dict[str, Callable[[Path, str], Any]] = {
    ".safetensors": _safetensors,
    ".npz": _npz,
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt"), _checkpoint),
}
