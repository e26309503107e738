"""The numeric arrays of a MATLAB 5 file ("MAT-File Format", MathWorks), which is all that SVHN's files hold.

Read here rather than by ``scipy.io.loadmat``, whose compiled reader can take the process down on a damaged file. The
file is a header of 128 bytes and elements of (type, size, content); a small element has its content inside the tag.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunecheck.errors import DataError

HEADER = 128
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""type of an element -> numpy's name of it, without the byte order"""
MATRIX, COMPRESSED = 14, 15

Array = NDArray[Any]


def arrays(path: Path, most_bytes: int) -> dict[str, Array]:
    """Every numeric array of the file by its name, in MATLAB's order of dimensions; other variables are left out.

    Raises DataError for another format, a torn file, or a variable of more than *most_bytes*.
    """
    try:
        content = path.read_bytes()
        if content[124:128] == b"\x00\x01IM":
            order = "<"
        elif content[124:128] == b"\x01\x00MI":
            order = ">"
        else:
            raise ValueError("it does not begin like one of version 5")
        found = {}
        for kind, element in _elements(content[HEADER:], order):
            if kind == COMPRESSED:
                ((kind, element),) = _elements(_inflated(element, most_bytes), order)
            name, array = _matrix(element, order) if kind == MATRIX else ("", None)
            if array is not None:
                found[name] = array
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a MATLAB 5 file, or is torn: {error}.") from error
    return found


def _elements(content: bytes, order: str) -> list[tuple[int, bytes]]:
    """The elements one after the other, each padded to 8 bytes but for compressed ones."""
    found, at = [], 0
    while at < len(content):
        kind, size = struct.unpack_from(order + "2I", content, at)
        start = at + 8
        if kind >> 16:  # a small element: its size stands beside its type
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise ValueError("a small element is too large")
            at += 8
        else:
            at = start + size + (0 if kind == COMPRESSED else -size % 8)
        if start + size > len(content):
            raise ValueError("it ends in the middle of a variable")
        found.append((kind, content[start : start + size]))
    return found


def _inflated(element: bytes, most_bytes: int) -> bytes:
    inflate = zlib.decompressobj()
    content = inflate.decompress(element, most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"a variable takes more than {most_bytes} bytes")
    if not inflate.eof:
        raise ValueError("a compressed variable is cut")
    return content


def _matrix(element: bytes, order: str) -> tuple[str, Array | None]:
    """``(name, array)`` of a real numeric matrix; no array for cells, structs, text and the like."""
    parts = _elements(element, order)
    if len(parts) != 4 or parts[3][0] not in NUMBERS:  # flags, dimensions, name, values
        return "", None
    dimensions = [int(n) for n in np.frombuffer(parts[1][1], dtype=order + "i4")]
    values = np.frombuffer(parts[3][1], dtype=order + NUMBERS[parts[3][0]])
    if min(dimensions, default=0) < 0 or math.prod(dimensions) != len(values):
        raise ValueError(f"{len(values)} values do not make an array of {dimensions}")
    return parts[2][1].decode("latin-1"), values.reshape(dimensions, order="F")
