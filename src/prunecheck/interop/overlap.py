"""The masks of two checkpoints compared layer by layer: overlap against chance, sparsity, dead rows and columns.

One pair of tensors is in memory at a time, whatever the size of the models. A mask is where a tensor is not 0, so that
files of masks and pruned weights can be compared alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from prunecheck import html
from prunecheck.errors import StudyError
from prunecheck.paths import file_problem
from prunecheck.text import counted, listing, nearest, percent, printable, printable_path

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LARGEST_INDEX = 256 * 2**20
HEADS = ("name", "weights", "sparsity", "of the other", "IoU", "by chance", "dead rows", "dead columns", "pattern")
GROUPS = (2, 4, 8, 16, 32)
"""sizes M of an N:M pattern that are looked for, the smallest first"""
BY_CHANCE = 1e-9
FEW_ZEROS = 1e-3
"""A smaller share of zeros in both checkpoints is no pruning: rounding gives some."""
ALIKE = 0.999
"""Share of the possible overlap above which two masks that are not equal are called nearly equal."""


@dataclass(frozen=True)
class LayerOverlap:
    """One pruned tensor.

    ``kept``: weights that are not 0, in each. ``both``: in both. ``iou``: kept by both over kept by either (1 where
    neither keeps any). ``chance_iou``: the same for masks with these counts and random places. ``z``: how many
    standard deviations of chance ``both`` lies above it (hypergeometric). ``dead_rows``, ``dead_columns``: outputs and
    inputs without a weight, in each. ``pattern``: N:M, rows (filters) or columns, recognised from the mask, in each,
    None for others.
    ``same_values``: share of the weights kept by both that are equal; NaN where there are none.
    """

    name: str
    shape: tuple[int, ...]
    kept: tuple[int, int]
    both: int
    iou: float
    chance_iou: float
    z: float
    dead_rows: tuple[int, int]
    dead_columns: tuple[int, int]
    pattern: tuple[str | None, str | None]
    same_values: float
    not_finite: tuple[int, int]

    @property
    def weights(self) -> int:
        """Number of weights of the tensor."""
        return math.prod(self.shape)

    @property
    def is_identical(self) -> bool:
        """Whether both masks keep the same weights."""
        return self.kept[0] == self.kept[1] == self.both


@dataclass(frozen=True)
class MaskOverlaps:
    """Two checkpoints. ``layers``: those with zeros; ``dense``: names of the other matrices; ``alarms``: what speaks
    against two masks that were made independently, or against these files, as sentences."""

    first: str
    second: str
    layers: tuple[LayerOverlap, ...]
    dense: tuple[str, ...]
    alarms: tuple[str, ...]

    @property
    def sparsity(self) -> tuple[float, float]:
        """Fraction removed of the layers listed, in each."""
        weights = sum(layer.weights for layer in self.layers)
        first, second = (1 - sum(layer.kept[side] for layer in self.layers) / weights for side in (0, 1))
        return first, second

    @property
    def iou(self) -> float:
        """Of all layers together."""
        either = sum(sum(layer.kept) - layer.both for layer in self.layers)
        return sum(layer.both for layer in self.layers) / either if either else 1.0

    @property
    def chance_iou(self) -> float:
        """Of all layers together, for random places with the same counts in every layer."""
        both = sum(layer.kept[0] * layer.kept[1] / layer.weights for layer in self.layers)
        either = sum(sum(layer.kept) for layer in self.layers) - both
        return both / either if either else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; numbers that are not finite become None."""
        plain = asdict(self)
        for layer in plain["layers"]:
            layer |= {name: None for name in ("z", "same_values") if not math.isfinite(layer[name])}
        return {**plain, "sparsity": list(self.sparsity), "iou": self.iou, "chance_iou": self.chance_iou}

    def layer_table(self) -> list[tuple[str, ...]]:
        """One row per layer, in the columns of ``HEADS``."""
        return [
            (
                printable(layer.name),
                str(layer.weights),
                percent(round(1 - layer.kept[0] / layer.weights, 4)),
                percent(round(1 - layer.kept[1] / layer.weights, 4)),
                f"{layer.iou:.4f}",
                f"{layer.chance_iou:.4f}",
                _pair(layer.dead_rows),
                _pair(layer.dead_columns),
                _pair(layer.pattern),
            )
            for layer in self.layers
        ]

    def summary(self) -> list[tuple[str, str]]:
        """Names and values, in words."""
        first, second = self.sparsity
        return [
            ("layers with zeros", f"{len(self.layers)} ({counted(len(self.dense), 'matrix', 'matrices')} without)"),
            ("sparsity", f"{percent(round(first, 4))} and {percent(round(second, 4))}"),
            ("IoU of the masks", f"{self.iou:.4f}, by chance {self.chance_iou:.4f}"),
            *(("alarm", alarm) for alarm in self.alarms),
        ]

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.summary())

    def _repr_html_(self) -> str:
        return html.table("Two masks", ("", ""), self.summary()) + html.table(
            "Layer by layer", HEADS, self.layer_table()
        )


class _Checkpoint:
    """The tensors of a file or of a folder with shards, opened one by one."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.shown = printable_path(path)
        self._open: dict[Path, Any] = {}
        self._file: dict[str, Path] = {}
        for file, names in _files(path).items():
            try:
                self._open[file] = stack.enter_context(safe_open(file, framework="pt", device="cpu"))
                there = set(self._open[file].keys())
            except (SafetensorError, OSError, ValueError) as error:
                raise StudyError(
                    f"{printable_path(file)} is not a safetensors file: {printable(error, 120)}."
                ) from None
            for name in there if names is None else names:
                if name not in there:
                    raise StudyError(f"{printable_path(file)} lacks {printable(name)}, which the index says it holds.")
                self._file[name] = file

    def matrices(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor with two or more dimensions."""
        shapes = {name: tuple(self._open[file].get_slice(name).get_shape()) for name, file in self._file.items()}
        return {name: shape for name, shape in shapes.items() if len(shape) > 1 and math.prod(shape)}

    def tensor(self, name: str) -> Tensor:
        try:
            value: Tensor = self._open[self._file[name]].get_tensor(name)
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise StudyError(f"{self.shown}: {printable(name)} cannot be read: {printable(error, 120)}.") from None
        # the one-byte floating point types have no comparisons
        return value.float() if value.is_floating_point() and value.element_size() == 1 else value


def compare_masks(first: str | Path, second: str | Path) -> MaskOverlaps:
    """Compare the masks of two checkpoints without loading the models.

    Each is a ``.safetensors`` file, or a folder with ``model.safetensors`` or with shards and their
    ``model.safetensors.index.json``. Tensors with two or more dimensions of which more than one in a
    thousand values is 0 in either are compared.
    Raises StudyError for files that cannot be read, names or shapes that differ, and where there is no zero at all.
    """
    with ExitStack() as stack:
        one, two = _Checkpoint(Path(first), stack), _Checkpoint(Path(second), stack)
        names = _common(one, two)
        layers, dense = [], []
        for name in names:
            a, b = one.tensor(name), two.tensor(name)
            layer = _overlap(name, a, b)
            if min(layer.kept) > (1 - FEW_ZEROS) * layer.weights:
                dense.append(name)
            else:
                layers.append(layer)
    if not layers:
        raise StudyError(
            f"{one.shown} and {two.shown}: no matrix of either has more than 0.1% zeros: nothing was pruned."
        )
    return MaskOverlaps(one.shown, two.shown, tuple(layers), tuple(dense), tuple(_alarms(layers)))


def _files(path: Path) -> Mapping[Path, tuple[str, ...] | None]:
    """The files of a checkpoint, each with the names it is to hold (None: all that it holds)."""
    shown = printable_path(path)
    if path.is_file():
        if problem := file_problem(path):
            raise StudyError(problem)
        if path.suffix != ".safetensors":
            raise StudyError(
                f"{shown}: two checkpoints are compared as .safetensors files or folders of them. Save one with "
                "safetensors.torch.save_file(model.state_dict(), ...)."
            )
        return {path: None}
    if not path.is_dir():
        raise StudyError(file_problem(path))
    if (path / INDEX).is_file():
        return _shards(path / INDEX)
    if (path / SINGLE).is_file():
        return {path / SINGLE: None}
    raise StudyError(f"{shown} holds neither {SINGLE} nor {INDEX}.")


def _shards(index: Path) -> Mapping[Path, tuple[str, ...]]:
    shown = printable_path(index)
    try:
        if index.stat().st_size > LARGEST_INDEX:
            raise StudyError(f"{shown} is larger than {LARGEST_INDEX} bytes.")
        record = json.loads(index.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise StudyError(f"{shown} is not JSON: {printable(error, 80)}.") from None
    names = record.get("weight_map") if isinstance(record, dict) else None
    if not isinstance(names, dict) or not names:
        raise StudyError(f"{shown} has no weight_map.")
    found: dict[Path, list[str]] = {}
    for name, file in names.items():
        # a name with a folder could point at any file of the machine
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise StudyError(
                f"{shown}: {printable(name)} is in {printable(repr(file), 60)}, which is no file beside it."
            )
        if not (index.parent / file).is_file():
            raise StudyError(f"{shown} names {printable(file)}, which is not there.")
        found.setdefault(index.parent / file, []).append(name)
    return {file: tuple(several) for file, several in found.items()}


def _common(one: _Checkpoint, two: _Checkpoint) -> list[str]:
    """The matrices of both, layer 2 before layer 10. Raises StudyError where names or shapes differ."""
    first, second = one.matrices(), two.matrices()
    for name in [name for name in first if name not in second] or [name for name in second if name not in first]:
        holder, other, names = (one, two, second) if name in first else (two, one, first)
        guess = nearest(name, names)
        hint = f" Did you mean {printable(guess)!r}?" if guess else ""
        missing = sum(key not in second for key in first) + sum(key not in first for key in second)
        raise StudyError(
            f"{other.shown} has no {printable(name)}, which is in {holder.shown} "
            f"({counted(missing, 'name')} in one only).{hint}"
        )
    for name, shape in first.items():
        if second[name] != shape:
            raise StudyError(
                f"{printable(name)} is {_shape(shape)} in {one.shown} and {_shape(second[name])} in {two.shown}."
            )
    if not first:
        raise StudyError(f"{one.shown} holds no matrix.")
    return sorted(first, key=_in_order)


def _in_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in name.split(".")]


def _overlap(name: str, a: Tensor, b: Tensor) -> LayerOverlap:
    masks = (a != 0, b != 0)
    n, kept = a.numel(), (int(masks[0].count_nonzero()), int(masks[1].count_nonzero()))
    shared = masks[0] & masks[1]
    both = int(shared.count_nonzero())
    either, expected = kept[0] + kept[1] - both, kept[0] * kept[1] / n
    spread = expected * (1 - kept[0] / n) * (n - kept[1]) / max(n - 1, 1)
    same = float((a[shared] == b[shared]).double().mean()) if both else math.nan
    rows, columns = zip(*map(_dead, masks), strict=True)
    found = [_pattern(mask, k, r, c) for mask, k, r, c in zip(masks, kept, rows, columns, strict=True)]
    return LayerOverlap(
        name=name,
        shape=tuple(a.shape),
        kept=kept,
        both=both,
        iou=both / either if either else 1.0,
        chance_iou=expected / (sum(kept) - expected) if either else 1.0,
        z=(both - expected) / math.sqrt(spread) if spread > 0 else math.nan,
        dead_rows=(rows[0], rows[1]),
        dead_columns=(columns[0], columns[1]),
        pattern=(found[0], found[1]),
        same_values=same,
        not_finite=(_not_finite(a), _not_finite(b)),
    )


def _dead(mask: Tensor) -> tuple[int, int]:
    """Outputs and inputs without a weight. Convolutions: filters and input channels."""
    flat = mask.flatten(2) if mask.dim() > 2 else mask[..., None]
    return int((~flat.flatten(1).any(dim=1)).sum()), int((~flat.any(dim=2).any(dim=0)).sum())


def _pattern(mask: Tensor, kept: int, dead_rows: int, dead_columns: int) -> str | None:
    """Whole rows, whole columns, or N of every M inputs, where chance shows it with a probability below ``BY_CHANCE``.

    A quicker and narrower test than ``interop.patterns``, for matrices of language models.
    """
    n = mask.numel()
    if kept in (0, n):
        return None
    if kept == (mask.shape[0] - dead_rows) * (n // mask.shape[0]):
        return "rows" if mask.dim() == 2 else "filters"
    if kept == (mask.shape[1] - dead_columns) * (n // mask.shape[1]):
        return "columns"
    inputs_last = mask.movedim(1, -1)
    for m in GROUPS:
        if mask.shape[1] % m or kept * m % n:
            continue
        of_group, groups = kept * m // n, inputs_last.reshape(-1, m)
        # A few groups rule out the others of a mask that has no such pattern.
        if any(bool((part.sum(dim=1) != of_group).any()) for part in (groups[:1000], groups)):
            continue
        if len(groups) * _log_choices(m, of_group) - _log_choices(n, kept) < math.log(BY_CHANCE):
            return f"{of_group}:{m}"
    return None


def _log_choices(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _not_finite(value: Tensor) -> int:
    return int((~torch.isfinite(value)).sum()) if value.is_floating_point() else 0


def _alarms(layers: list[LayerOverlap]) -> Iterator[str]:
    pruned = [layer for layer in layers if min(layer.kept) < layer.weights]
    identical = [layer for layer in pruned if layer.is_identical]
    if identical and len(identical) == len(pruned):
        values = [layer.same_values for layer in identical if math.isfinite(layer.same_values)]
        also = ", and so are all weights: these are the same networks" if values and min(values) == 1 else ""
        yield f"The two masks are identical{also}."
    elif identical:
        name = printable(identical[0].name)
        yield f"Identical masks in {counted(len(identical), 'layer')} of {len(pruned)}, such as {name}."
    near = [
        one
        for one in pruned
        if not one.is_identical and one.both > ALIKE * min(one.kept) and one.kept[0] == one.kept[1]
    ]
    if near:
        name = printable(near[0].name)
        yield f"Nearly equal masks in {counted(len(near), 'layer')}, such as {name} (IoU {near[0].iou:.4f})."
    empty = [layer.name for layer in layers if not all(layer.kept)]
    if empty:
        yield f"Nothing is kept in {listing([printable(name) for name in empty[:8]])}."
    unequal = [one for one in layers if abs(one.kept[0] - one.kept[1]) > max(1.0, 0.001 * max(one.kept))]
    if unequal:
        worst = max(unequal, key=lambda one: abs(one.kept[0] - one.kept[1]) / one.weights)
        yield (
            f"Unequal sparsity in {counted(len(unequal), 'layer')}, most in {printable(worst.name)}: "
            f"{worst.kept[0]} and {worst.kept[1]} of {worst.weights} weights kept."
        )
    broken = [layer.name for layer in layers if any(layer.not_finite)]
    if broken:
        yield f"Values that are not finite in {listing([printable(name) for name in broken[:8]])}."


def _pair(values: tuple[object, object]) -> str:
    first, second = ("-" if value is None else str(value) for value in values)
    return first if first == second else f"{first} / {second}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
