"""Image bytes to pixels, and names for the ones that cannot be."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from prunecheck.data.images import decode, decode_all, side_of
from prunecheck.errors import DataError
from tests.data.makers import images, png


def saved(image: Image.Image, kind: str = "png", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def huge_png(side: int) -> bytes:
    """A few bytes that claim ``side`` x ``side`` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_pixels_come_channel_first_and_unchanged() -> None:
    pixels = images(3, side=5)
    files = {f"{i}.png": png(image) for i, image in enumerate(pixels)}
    assert np.array_equal(decode_all(list(files), files.__getitem__), pixels)


def test_grey_becomes_colour_and_colour_grey() -> None:
    grey = images(1, 1, 4)[0]
    assert np.array_equal(decode("a", png(grey)), np.repeat(grey.transpose(1, 2, 0), 3, axis=2))
    same = np.repeat(grey, 3, axis=0)
    assert np.array_equal(decode("a", png(same), channels=1)[:, :, 0], grey[0])


def test_a_palette_with_transparent_colours_is_read_without_a_warning() -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([10, 20, 30, 40, 50, 60])
    content = saved(image, transparency=bytes([0, 255]))
    assert decode("a", content).tolist() == [[[10, 20, 30]] * 2] * 2


def test_fit_crops_to_the_central_square_and_averages() -> None:
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 2:4] = 100
    pixels[:, 4:6] = 200
    small = decode_all("a", lambda _: saved(Image.fromarray(pixels)), fit=2)[0].transpose(1, 2, 0)
    assert small[:, :, 0].tolist() == [[100, 200], [100, 200]]


def test_fit_repeats_the_pixels_of_a_smaller_image() -> None:
    pixels = images(1, 3, 2)[0]
    assert np.array_equal(decode_all("a", lambda _: png(pixels), fit=4)[0], pixels.repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"", r"cannot be read: it is none of JPEG, PNG, BMP, WEBP, PPM \(it is empty\)"),
        (lambda: b"not an image", r"it is none of .* \(it starts with 6e6f7420\)"),
        (lambda: png(images(1)[0])[:-200], "cannot be read"),
        (lambda: saved(Image.fromarray(images(1)[0, 0]), "jpeg")[:-200], "truncated"),
        (lambda: saved(Image.new("RGB", (4, 4)), "gif"), r"it is none of .* \(it starts with 47494638\)"),
        (lambda: saved(Image.new("I;16", (4, 4))), "more than 8 bits"),
        (lambda: huge_png(60_000), "DecompressionBomb"),
        (lambda: huge_png(9_000), "claims 9000x9000 pixels: refused"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(content: Callable[[], bytes], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        decode("bad\x1b.png", content())
    assert "image bad\N{REPLACEMENT CHARACTER}.png" in str(caught.value)


def test_another_size_than_the_first_is_named() -> None:
    files = {"a.png": png(images(1, side=4)[0]), "b.png": png(images(1, side=5)[0])}
    with pytest.raises(DataError, match=r"b\.png has 5x5 pixels, the first one 4x4\. Give a size"):
        decode_all(list(files), files.__getitem__)
    assert decode_all(list(files), files.__getitem__, fit=4).shape == (2, 3, 4, 4)


def test_no_images_at_all() -> None:
    with pytest.raises(DataError, match="no images"):
        decode_all([], {}.__getitem__)


def test_the_header_tells_the_size() -> None:
    assert side_of("a", saved(Image.new("RGB", (6, 4)))) == (6, 4)
    with pytest.raises(DataError, match="image a cannot be read"):
        side_of("a", b"")


def transparent(colour: tuple[int, int, int], alpha: np.ndarray) -> bytes:
    pixels = np.empty((*alpha.shape, 4), dtype=np.uint8)
    pixels[..., :3], pixels[..., 3] = colour, alpha
    return saved(Image.fromarray(pixels))


def test_a_picture_in_the_transparency_alone_is_refused() -> None:
    drawing = images(1, 1, 4)[0, 0]
    with pytest.raises(DataError, match="its picture is in the transparency alone"):
        decode("a", transparent((0, 0, 0), drawing))
    opaque = np.full((4, 4), 255, dtype=np.uint8)
    assert (decode("a", transparent((9, 8, 7), opaque)) == (9, 8, 7)).all()


def test_an_animation_is_refused() -> None:
    frames = [Image.fromarray(images(1, 1, 4, seed)[0, 0]).convert("RGB") for seed in range(3)]
    for kind in ("png", "webp"):
        with pytest.raises(DataError, match="it holds 3 pictures, not one"):
            decode("a", saved(frames[0], kind, save_all=True, append_images=frames[1:]))
