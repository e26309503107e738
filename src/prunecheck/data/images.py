"""PNG and JPEG bytes to pixels; an image that cannot be read is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageOps

from prunecheck.data.types import Images
from prunecheck.errors import DataError
from prunecheck.text import printable

FORMATS = ("JPEG", "PNG")
LARGEST_IMAGE = 2**26
"""Pixels above which an image is refused unread: a small file can claim to hold billions."""

MODES = {1: "L", 3: "RGB"}


def decode_all(
    names: Sequence[str], read: Callable[[str], bytes], *, channels: int = 3, fit: int | None = None
) -> Images:
    """Pixels ``[n, channels, H, W]`` of the images ``read(name)``, grey ones made colour and the reverse.

    With ``fit`` each image is cropped to its central square and averaged down to that many pixels a side (repeated up
    where it is smaller). Raises DataError naming an image that is broken, huge, or of another size than the first.
    """
    pixels: Images | None = None
    for position, name in enumerate(names):
        image = decode(name, read(name), channels=channels, fit=fit)
        if pixels is None:
            pixels = np.empty((len(names), channels, *image.shape[:2]), dtype=np.uint8)
        if image.shape[:2] != pixels.shape[2:]:
            raise DataError(
                f"image {printable(name)} has {image.shape[1]}x{image.shape[0]} pixels, the first one "
                f"{pixels.shape[3]}x{pixels.shape[2]}. Give a size to bring all to one."
            )
        pixels[position] = image.transpose(2, 0, 1)
    if pixels is None:
        raise DataError("there are no images.")
    return pixels


def decode(name: str, content: bytes, *, channels: int = 3, fit: int | None = None) -> Images:
    """One image as ``[H, W, channels]``; see ``decode_all``."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > LARGEST_IMAGE:
                raise DataError(f"image {printable(name)} claims {image.width}x{image.height} pixels: refused.")
            shown = _converted(image, MODES[channels])
            if fit is not None:
                shown = ImageOps.fit(shown, (fit, fit), method=Image.Resampling.BOX)
            flat = np.frombuffer(shown.tobytes(), dtype=np.uint8)
            return flat.reshape(shown.height, shown.width, channels)
    except DataError:
        raise
    except Exception as error:
        # decoders of broken bytes raise whatever they like: OSError, SyntaxError, struct.error, zlib.error …
        raise DataError(f"image {printable(name)} cannot be read: {type(error).__name__}: {error}.") from error


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its pixels have more than 8 bits (mode {image.mode})")
    # a palette with transparent colours becomes grey or colour only by way of RGBA
    return (image.convert("RGBA") if image.mode == "P" else image).convert(mode)


def side_of(name: str, content: bytes) -> tuple[int, int]:
    """Width and height as the header says, without decoding. Raises DataError."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.size
    except Exception as error:
        raise DataError(f"image {printable(name)} cannot be read: {type(error).__name__}: {error}.") from error
