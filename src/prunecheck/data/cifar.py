"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the official files, binary or python edition, or parquet.

Official files may lie unpacked or in the official tar.gz. In both editions a picture is 3072 bytes: red, green, blue,
each row by row. The python edition consists of pickles, which can call any function they name; here a name gives a
record of its arguments, and only the three names that make a numpy array are allowed.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from prunecheck.data.catalogue import DataSpec, entry
from prunecheck.data.files import missing, read_members, roots
from prunecheck.data.parquet import Table
from prunecheck.data.types import Images, Labels, Source, Split, in_memory
from prunecheck.errors import DataError
from prunecheck.text import printable

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Edition:
    """One official edition. ``label``: byte of the record (binary) or key of the batch (python) that is the class."""

    kind: Literal["binary", "python"]
    folder: str
    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label: int | str
    label_bytes: int = 1


EDITIONS: dict[str, tuple[Edition, ...]] = {
    "cifar10": (
        Edition(
            "binary",
            "cifar-10-batches-bin",
            "cifar-10-binary.tar.gz",
            train=tuple(f"data_batch_{n}.bin" for n in range(1, 6)),
            test=("test_batch.bin",),
            label=0,
        ),
        Edition(
            "python",
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            train=tuple(f"data_batch_{n}" for n in range(1, 6)),
            test=("test_batch",),
            label="labels",
        ),
    ),
    "cifar100": (
        Edition(
            "binary",
            "cifar-100-binary",
            "cifar-100-binary.tar.gz",
            train=("train.bin",),
            test=("test.bin",),
            label=1,
            label_bytes=2,
        ),
        Edition(
            "python",
            "cifar-100-python",
            "cifar-100-python.tar.gz",
            train=("train",),
            test=("test",),
            label="fine_labels",
        ),
    ),
}

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"

_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
bowl boy bridge bus butterfly camel can castle caterpillar cattle
chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
plain plate poppy porcupine possum rabbit raccoon ray road rocket
rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

CLASS_NAMES = {"cifar10": tuple(_CIFAR10.split()), "cifar100": tuple(_CIFAR100.split())}

ARRAY_PARTS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
"""what a pickled array names; numpy 2 writes the second"""

PARQUET_FOLDERS = (".", "plain_text", "data", "cifar10", "cifar100")
LABEL_COLUMNS = {"cifar10": ("label",), "cifar100": ("fine_label", "label")}
"""the first of them that a table has"""


@dataclass(frozen=True)
class Found:
    """The official *edition* in the folder or archive *place*, or (edition None) the parquet files in it."""

    edition: Edition | None
    place: Path


def files(spec: DataSpec) -> dict[str, Path]:
    """The batches, the archive, or the parquet files. Raises DataError where nothing is found."""
    found = _find(spec)
    if found.edition is None:
        paths = [*_parquet(found.place, "train"), *_parquet(found.place, "test")]
    elif found.place.is_file():
        paths = [found.place]
    else:
        paths = [found.place / name for name in (*found.edition.train, *found.edition.test)]
        for path in paths:
            if not path.is_file():
                raise DataError(f"data {spec.name!r}: {path} is missing. Unpack {found.edition.archive} again.")
    return {path.name: path for path in paths}


def read(spec: DataSpec) -> Source:
    """All images and labels. Raises DataError for torn files and for another number of images than published."""
    found = _find(spec)
    if found.edition is None:
        train = _table(spec, found.place, "train")
        test = _table(spec, found.place, "test")
    else:
        edition = found.edition
        members = read_members(found.place, [*edition.train, *edition.test])
        train = _official(edition, edition.train, members, found.place)
        test = _official(edition, edition.test, members, found.place)
    known = entry(spec.name)
    for split, targets, published in (("train", train.targets, known.n_train), ("test", test.targets, known.n_test)):
        if len(targets) != published:
            raise DataError(
                f"data {spec.name!r}: {found.place} holds {len(targets)} {split} images, not {published}: torn or "
                "cut. Download it again; train_size and test_size make it smaller."
            )
    return Source(train, test, CLASS_NAMES[spec.name])


def _find(spec: DataSpec) -> Found:
    editions = EDITIONS[spec.name]
    for root in roots(spec):
        for edition in editions:
            for base in (root, root / spec.name):
                for place in (base / edition.folder, base / edition.archive, base):
                    if _holds(place, edition):
                        return Found(edition, place)
        for base in (root, root / spec.name):
            for folder in PARQUET_FOLDERS:
                if _parquet(base / folder, "train") and _parquet(base / folder, "test"):
                    return Found(None, base / folder)
    expected = [edition.folder for edition in editions] + [edition.archive for edition in editions]
    raise missing(spec, [*expected, f"{spec.name}/train-*.parquet"])


def _holds(place: Path, edition: Edition) -> bool:
    if place.is_dir():
        return place.name == edition.folder or (place / edition.train[0]).is_file()
    return place.name == edition.archive and place.is_file()


def _parquet(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"{split}*.parquet"))


def _table(spec: DataSpec, folder: Path, split: str) -> Split:
    table = Table(_parquet(folder, split))
    label = next((name for name in LABEL_COLUMNS[spec.name] if name in table.columns), LABEL_COLUMNS[spec.name][0])
    return table.split(table.image_column(), table.label_column(label))


def _official(edition: Edition, names: Sequence[str], members: Mapping[str, bytes], place: Path) -> Split:
    decode = _binary_batch if edition.kind == "binary" else _python_batch
    batches = [decode(edition, members[name], f"{place}: {name}") for name in names]
    inputs = np.concatenate([images for images, _ in batches])
    return in_memory(inputs, np.concatenate([labels for _, labels in batches]))


def _binary_batch(edition: Edition, content: bytes, where: str) -> tuple[Images, Labels]:
    record = edition.label_bytes + PIXELS
    if not content or len(content) % record:
        raise DataError(f"{where} is torn: {len(content)} bytes are no multiple of {record}. Download it again.")
    table = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    images = table[:, edition.label_bytes :].reshape(-1, 3, 32, 32)
    return images, table[:, int(edition.label)].astype(np.int64)


def _python_batch(edition: Edition, content: bytes, where: str) -> tuple[Images, Labels]:
    batch = unpickled(content, where)
    pixels = byte_table(batch.get("data"), where)
    labels = batch.get(str(edition.label))
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise DataError(f"{where} has no list of labels {edition.label!r}, whole numbers from 0 to 255.")
    if pixels.shape != (len(labels), PIXELS):
        raise DataError(f"{where}: {len(labels)} labels, pixels {list(pixels.shape)}; it should be [n, {PIXELS}].")
    return pixels.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


class Record:
    """The place of a numpy object in a pickle: its arguments and its state."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class BatchUnpickler(pickle.Unpickler):
    """Gives a ``Record`` for the names in ``ARRAY_PARTS`` and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAY_PARTS:
            raise DataError(f"it calls {printable(module)}.{printable(name)}: refused, nothing of it was run")
        # a class of its own each time: a pickle may set attributes of what it names
        return type(name, (Record,), {})


def unpickled(content: bytes, where: str) -> dict[str, Any]:
    """The dictionary in a pickled batch; an array is a ``Record``, see ``byte_table``. Raises DataError."""
    try:
        for opcode, argument, _ in pickletools.genops(content):
            # the C unpickler allocates its memo up to the largest index, however small the pickle
            if "PUT" in opcode.name and argument is not None and argument > len(content):
                raise ValueError(f"a memo index of {argument}")
        batch = BatchUnpickler(io.BytesIO(content), encoding="latin-1").load()
    except Exception as error:
        # damaged and hostile pickles raise exceptions of any type
        detail = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        raise DataError(f"{where} is not a CIFAR batch, or torn: {detail}.") from error
    if not isinstance(batch, dict):
        raise DataError(f"{where} is not a CIFAR batch, or torn: it holds {type(batch).__name__}, not a dictionary.")
    return batch


def byte_table(value: Any, where: str) -> Images:
    """The table of bytes, uint8 ``[rows, columns]``, that a ``Record`` stands for. Raises DataError for all else."""
    try:
        _version, (rows, columns), dtype, is_fortran, content = value.state
        if dtype.arguments[0] != "u1":
            raise ValueError(f"its numbers are {dtype.arguments[0]!r}, not 'u1'")
        flat = np.frombuffer(content.encode("latin-1") if isinstance(content, str) else content, dtype=np.uint8)
        return flat.reshape((rows, columns), order="F" if is_fortran else "C")
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        raise DataError(f"{where}: the pixels are not a table of bytes, or torn ({error}).") from error
