"""The arms of a trial with other training code: corrupted masks and starting weights as files, and a table to fill in,
which ``prunecheck verdict`` judges."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from torch import nn

from prunecheck import tensors
from prunecheck.interop.corruption import (
    RANDOM_TICKET,
    REARRANGE,
    State,
    TicketOfSeed,
    of_seed,
    one_sparsity,
    ticket_check,
    validate_name,
)
from prunecheck.interop.read import Source, read_masks
from prunecheck.interop.write import save_masks
from prunecheck.pruning import Check
from prunecheck.pruning.layers import ALSO, layers_of
from prunecheck.pruning.patterns import pattern_in_words
from prunecheck.pruning.seeds import torch_stream
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.store.durable import ensure_folder, write_file
from prunecheck.text import listing

COLUMNS = ("method", "check", "sparsity", "seed", "accuracy", "n_test", "file")
UNSTRUCTURED = "unstructured_rearrange"


def write_arms(
    source: Source,
    build: Callable[[], nn.Module],
    folder: str | Path,
    *,
    checks: Iterable[str],
    seeds: Iterable[int],
    start: State | None = None,
    name: str = "mine",
    n_test: int | None = None,
    controls: bool = True,
) -> Path:
    """Write one ``CHECK-seedN.safetensors`` per arm and seed and the table ``arms.csv`` into *folder*.

    ``source``: the masks, in any form that ``read_masks`` takes. ``build``: returns the freshly initialised network.
    ``start``: the state the tickets start from, for checks of weights. A path may contain ``{seed}``: one file per
    seed.
    ``clean`` and the checks of masks give bool masks; the checks of weights give a whole starting state, pruned weights
    at 0, to be trained under the clean mask. ``name``: the method's name in the table; ``n_test``: the size of the
    test set, if known. The table begins with one dense row for each seed, without a file: the unpruned network, from
    which the margin follows. ``controls``: add a random ticket with the same counts and patterns in every layer, and
    its rearrangement, which must do equally well. Checks that rearrange masks keep the structured patterns they
    recognise; a warning names them. Returns the path of the table. Raises StudyError for checks that need the method or
    its data rather than its mask, and as ``read_masks``.
    """
    plugins, folder, order = [ticket_check(check, start is not None) for check in checks], Path(folder), [*seeds]
    validate_name(name, controls)
    with torch_stream(0, "skeleton"):
        model = build()
    every = layers_of(model, ALSO)
    tickets = []
    for seed in dict.fromkeys(order):
        masks = {n: mask.cpu() for n, mask in read_masks(of_seed(source, seed), model).items()}
        layers = tuple(layer for layer in every if layer.name in masks)
        tickets.append(TicketOfSeed(seed, masks, layers, build, of_seed(start, seed)))
    sparsity = one_sparsity({ticket.seed: ticket.masks for ticket in tickets})
    ensure_folder(folder)
    rows: list[tuple[object, ...]] = [(DENSE, CLEAN, "", t.seed, "", n_test or "", "") for t in tickets]
    for ticket in tickets:
        files = [(name, CLEAN, save_masks(ticket.masks, folder / f"{CLEAN}-seed{ticket.seed}.safetensors"))]
        files += [(name, check.name, _write_arm(ticket, check, folder)) for check in plugins]
        files += _write_controls(ticket, folder) if controls else []
        rows += [(of, arm, sparsity, ticket.seed, "", n_test or "", file.name) for of, arm, file in files]
    _warn_of_patterns(tickets, plugins)
    return _write_table(folder / "arms.csv", rows)


def _write_arm(ticket: TicketOfSeed, check: Check, folder: Path) -> Path:
    path, answer = folder / f"{check.name}-seed{ticket.seed}.safetensors", ticket.corrupted(check)
    if check.at == "masks":
        return save_masks(answer, path)
    write_file(path, tensors.to_bytes(answer))
    return path


def _write_controls(ticket: TicketOfSeed, folder: Path) -> list[tuple[str, str, Path]]:
    drawn = {CLEAN: ticket.random_masks(), REARRANGE: ticket.random_masks(REARRANGE)}
    return [
        (RANDOM_TICKET, arm, save_masks(masks, folder / f"{RANDOM_TICKET}-{arm}-seed{ticket.seed}.safetensors"))
        for arm, masks in drawn.items()
    ]


def _warn_of_patterns(tickets: Iterable[TicketOfSeed], checks: Iterable[Check]) -> None:
    found = {pattern_in_words(ticket.patterns) for ticket in tickets} - {""}
    keeping = [check.name for check in checks if "patterns" in check.asks]
    if keeping and found:
        words = "; ".join(sorted(found))
        warnings.warn(f"{words}: {listing(keeping)} keeps this pattern, {UNSTRUCTURED} does not.", stacklevel=3)


def _write_table(path: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    write_file(path, text.getvalue().encode())
    return path
