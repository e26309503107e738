"""Encoded images to pixels; an image that cannot be read, or whose picture would be lost, is named."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
from PIL import Image, UnidentifiedImageError

from prunecheck.data.crops import center_cropped
from prunecheck.data.types import Images
from prunecheck.errors import DataError
from prunecheck.text import printable_path

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"}
OTHER_SUFFIXES = {".tif", ".tiff", ".gif", ".jp2", ".heic", ".heif", ".avif", ".svg", ".tga", ".ico", ".jxl", ".psd"}
"""images that are not read"""

LARGEST_IMAGE = 2**26
"""Pixels above which an image is refused unread: a small file can claim to hold billions."""

END_MARKERS = {"JPEG": (b"\xff\xd9", 1024), "PNG": (b"IEND", 64)}
"""format -> what the last bytes of a whole file contain, and how many are searched: some programs append to a JPEG"""

MODES = {1: "L", 3: "RGB"}


def decode_all(
    names: Sequence[str], read: Callable[[str], bytes], *, channels: int = 3, fit: int | None = None
) -> Images:
    """Pixels ``[n, channels, H, W]`` of the images ``read(name)``, grey ones made colour and the reverse.

    With ``fit`` each image is cropped to its central square and averaged down to that many pixels per side (repeated up
    where it is smaller). Raises DataError naming an image that is broken, huge, or of another size than the first.
    """
    pixels: Images | None = None
    crop = None if fit is None else partial(center_cropped, size=fit, share=1)
    for position, name in enumerate(names):
        image = decode(name, read(name), channels=channels, crop=crop)
        if pixels is None:
            shape = (len(names), channels, *image.shape[:2])
            _check_memory(shape)
            pixels = np.empty(shape, dtype=np.uint8)
        if image.shape[:2] != pixels.shape[2:]:
            raise DataError(
                f"image {printable_path(name)} has {image.shape[1]}x{image.shape[0]} pixels, the first one "
                f"{pixels.shape[3]}x{pixels.shape[2]}. Give a size to bring all to one."
            )
        pixels[position] = image.transpose(2, 0, 1)
    if pixels is None:
        raise DataError("there are no images.")
    return pixels


def decode(
    name: str, content: bytes, *, channels: int = 3, crop: Callable[[Image.Image], Image.Image] | None = None
) -> Images:
    """One image as ``[H, W, channels]``, after *crop*; see ``decode_all``."""
    with _opened(name, content) as image:
        _check_size(name, image)
        shown = _converted(image, MODES[channels])
        if crop is not None:
            shown = crop(shown)
        return np.frombuffer(shown.tobytes(), dtype=np.uint8).reshape(shown.height, shown.width, channels)


def verify_encoded(name: str, content: bytes) -> None:
    """Raises DataError for what is no image of a kind that is read, or torn, as far as its header and its end tell.

    An image without its end marker, or of a kind without one, is decoded.
    """
    with _opened(name, content) as image:
        _check_size(name, image)
        end, within = END_MARKERS.get(image.format or "", (b"", 0))
        if not end or end not in content[-within:]:
            image.load()


def _check_size(name: str, image: Image.Image) -> None:
    if image.width * image.height > LARGEST_IMAGE:
        raise DataError(f"image {printable_path(name)} claims {image.width}x{image.height} pixels: refused.")


def side_of(name: str, content: bytes) -> tuple[int, int]:
    """Width and height as the header says, without decoding. Raises DataError."""
    with _opened(name, content) as image:
        return image.size


@contextmanager
def _opened(name: str, content: bytes) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # Pillow warns of many pixels before the limit of ours is asked
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        found = f"it starts with {content[:4].hex()}" if content else "it is empty"
        kinds = ", ".join(FORMATS)
        raise DataError(f"image {printable_path(name)} cannot be read: it is none of {kinds} ({found}).") from error
    except Exception as error:
        # decoders of torn bytes raise OSError, SyntaxError, struct.error, zlib.error …
        raise DataError(f"image {printable_path(name)} cannot be read: {type(error).__name__}: {error}.") from error


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Transparency is dropped. Raises ValueError where the picture is in the transparency alone."""
    if getattr(image, "n_frames", 1) > 1:
        raise ValueError(f"it holds {image.n_frames} pictures, not one")  # type: ignore[attr-defined]
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its pixels have more than 8 bits (mode {image.mode})")
    if not image.has_transparency_data:
        return image.convert(mode)
    # a palette with transparent colours becomes grey or colour only by way of RGBA
    layers = image.convert("RGBA")
    opaque = layers.convert("RGB")
    colours, alpha = np.asarray(opaque), np.asarray(layers.getchannel("A"))
    if np.ptp(alpha) and (colours == colours[0, 0]).all():
        raise ValueError("its picture is in the transparency alone: every pixel has the same colour")
    return opaque.convert(mode)


def _check_memory(shape: Sequence[int]) -> None:
    """Raises DataError for arrays above this machine's memory: a small table can repeat an image in many rows."""
    if not hasattr(os, "sysconf"):
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if math.prod(shape) > there:
        raise DataError(
            f"{shape[0]} images of {shape[3]}x{shape[2]} pixels take {math.prod(shape) / 2**30:.0f} GiB; this machine "
            f"has {there / 2**30:.0f}. Give a smaller size, train_size or test_size."
        )
