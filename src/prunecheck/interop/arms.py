"""The arms of a trial with other training code: corrupted masks and starting weights as files, and a table to fill in,
which ``prunecheck verdict`` judges."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from prunecheck import tensors
from prunecheck.errors import StudyError
from prunecheck.interop.files import Nested, read_tensors
from prunecheck.interop.match import state_of
from prunecheck.interop.read import Source, read_masks
from prunecheck.interop.write import save_masks
from prunecheck.pruning import CHECKS, Check
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.layers import ALSO, Layer, layers_of, weights_of
from prunecheck.pruning.masks import Masks, sparsity_of
from prunecheck.pruning.patterns import pattern_in_words
from prunecheck.pruning.seeds import stream, torch_stream
from prunecheck.pruning.structure import patterns_of
from prunecheck.pruning.validation import same_layout, validate_corruption
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.store.durable import ensure_folder, write_file
from prunecheck.text import listing, printable, printable_path

COLUMNS = ("method", "check", "sparsity", "seed", "accuracy", "n_test", "file")
UNSTRUCTURED = "unstructured_rearrange"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def write_arms(
    source: Source,
    build: Callable[[], nn.Module],
    folder: str | Path,
    *,
    checks: Iterable[str],
    seeds: Iterable[int],
    start: Mapping[str, Tensor] | str | Path | None = None,
    name: str = "mine",
    n_test: int | None = None,
) -> Path:
    """Write one ``CHECK-seedN.safetensors`` per arm and seed and the table ``arms.csv`` into *folder*.

    ``source``: the masks, in any form that ``read_masks`` takes. ``build``: returns the freshly initialised network.
    ``start``: the state the tickets start from, for checks of weights. A path may contain ``{seed}``: one file per
    seed.
    ``clean`` and the checks of masks give bool masks; the checks of weights give a whole starting state, pruned weights
    at 0, to be trained under the clean mask. ``name``: the method's name in the table; ``n_test``: the size of the
    test set, if known. The table begins with one dense row for each seed, without a file: the unpruned network, from
    which the margin follows. Checks that rearrange masks keep the structured patterns they recognise; a warning names
    them. Returns the path of the table. Raises StudyError for checks that need the method or its data rather than its
    mask, and as ``read_masks``.
    """
    plugins, folder = [_ticket_check(check, start is not None) for check in checks], Path(folder)
    if not _NAME.fullmatch(name):
        raise StudyError(f"{printable(name)!r} cannot name a method: letters, digits, . _ - only.")
    if name == DENSE:
        raise StudyError(f"{name!r} is the unpruned network in the table: give the method another name.")
    with torch_stream(0, "skeleton"):
        model = build()
    every = layers_of(model, ALSO)
    ensure_folder(folder)
    rows: list[tuple[object, ...]] = []
    sparsities = set()
    found: set[str] = set()
    for seed in dict.fromkeys(seeds):
        masks = {n: mask.cpu() for n, mask in read_masks(_of_seed(source, seed), model).items()}
        layers = tuple(layer for layer in every if layer.name in masks)
        sparsities.add(round(sparsity_of(masks), 4))
        file = save_masks(masks, folder / f"clean-seed{seed}.safetensors")
        patterns = patterns_of(masks)
        found.add(pattern_in_words(patterns))
        arms = [(CLEAN, file)] + [
            (check.name, _write_arm(check, masks, patterns, layers, build, folder, start, seed)) for check in plugins
        ]
        rows += [(name, arm, min(sparsities), seed, "", n_test or "", file.name) for arm, file in arms]
    if len(sparsities) != 1:
        raise StudyError(f"the masks of the seeds must have one sparsity; they have {sorted(sparsities) or 'none'}.")
    keeping = [check.name for check in plugins if "patterns" in check.asks]
    if keeping and (words := "; ".join(sorted(found - {""}))):
        warnings.warn(f"{words}: {listing(keeping)} keeps this pattern, {UNSTRUCTURED} does not.", stacklevel=2)
    dense = [(DENSE, CLEAN, "", seed, "", n_test or "", "") for seed in dict.fromkeys(row[3] for row in rows)]
    return _write_table(folder / "arms.csv", [*dense, *rows])


def _ticket_check(name: str, has_start: bool) -> Check:
    """The check, if it corrupts a finished ticket and all its inputs are given."""
    check = CHECKS.get(name)
    if check.at not in ("masks", "weights"):
        raise StudyError(
            f"{check.name!r} corrupts the {check.at} a mask is computed from, so the method must be run again. "
            "Put the method into a study (prunecheck run), or prune again on corrupted data."
        )
    if check.at == "weights" and not has_start:
        raise StudyError(f"{check.name!r} corrupts the weights the ticket starts from: give them as well.")
    return check


def _write_arm(
    check: Check,
    masks: Masks,
    patterns: Mapping[str, str | None],
    layers: tuple[Layer, ...],
    build: Callable[[], nn.Module],
    folder: Path,
    start: Mapping[str, Tensor] | str | Path | None,
    seed: int,
) -> Path:
    """One corrupted arm, validated against the promises of the check."""
    offer: dict[str, Any] = {"masks": masks, "layers": layers, "rng": stream(seed, "arms", check.name)}
    offer["patterns"] = patterns
    state: tensors.Tree = {}
    if check.at == "weights":
        state = _state(_of_seed(start, seed), layers)
        offer["weights"] = {layer.name: state[layer.name] * masks[layer.name] for layer in layers}
    if "initial" in check.asks:
        with torch_stream(seed, "arms", check.name, "initial"):
            offer["initial"] = weights_of(build(), layers)
    missing = set(check.asks) - set(offer)
    if missing:
        raise StudyError(f"{check.name!r} asks for {', '.join(sorted(missing))}, which only a study can offer.")
    answer = same_layout(f"check {check.name!r}", check.at, call_plugin(check, offer, check.options), layers)
    validate_corruption(check, offer[check.at], answer, masks if check.at == "weights" else None)
    path = folder / f"{check.name}-seed{seed}.safetensors"
    if check.at == "masks":
        return save_masks(answer, path)
    write_file(path, tensors.to_bytes(state | answer))
    return path


def _state(start: Any, layers: tuple[Layer, ...]) -> tensors.Tree:
    if isinstance(start, (str, Path)):
        return state_of(printable_path(start), read_tensors(Path(start)), layers)
    given: Nested = {(str(name),): value.detach().cpu() for name, value in start.items() if isinstance(value, Tensor)}
    return state_of("the starting weights", given, layers)


def _of_seed(source: Any, seed: int) -> Any:
    return str(source).replace("{seed}", str(seed)) if isinstance(source, (str, Path)) else source


def _write_table(path: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    write_file(path, text.getvalue().encode())
    return path
