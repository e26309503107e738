"""Masks from files and tickets to files: audit, arms, ticket."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from prunecheck import api
from prunecheck.cli import completers
from prunecheck.cli.console import note, print_columns, print_json
from prunecheck.cli.options import CIFAR, AlsoPrune, Images, Json, Model
from prunecheck.errors import StudyError
from prunecheck.paths import file_problem
from prunecheck.text import percent

if TYPE_CHECKING:
    from torch import Tensor, nn

Checks = Annotated[str, Parameter(completer=completers.checks)]


def audit(
    checkpoint: Path,
    other: Path | None = None,
    *,
    model: Model | None = None,
    images: Images = CIFAR,
    json: Json = False,
) -> None:
    """Audit a mask before training: layer counts, collapse, connectivity, and how far a rearrangement can change it.

    With a second checkpoint: compare the two masks layer by layer, without loading the models: overlap against chance,
    identical masks, sparsity, dead rows and columns, N:M patterns.

    Example: prunecheck audit pruned.safetensors --model resnet32

    Parameters
    ----------
    checkpoint
        Masks, or the weights of a pruned network: .safetensors, .npz, or .pt with tensors only. To be compared: a
        .safetensors file, or a folder with one or with shards and their index.
    other
        The checkpoint to compare with, of the same model; needs no --model.
    """
    if other is not None:
        _print_overlaps(checkpoint, other, model, json=json)
        return
    if model is None:
        if not checkpoint.is_dir() and (problem := file_problem(checkpoint)):
            raise StudyError(problem)
        raise StudyError(
            "audit: give --model, which knows the order of the layers, or a second checkpoint to compare with."
        )
    with _warnings_as_notes():
        found = api.audit(checkpoint, _built(model, images), inputs=images.shape)
    if json:
        print_json({"schema_version": 1, "model": model, **found.to_dict()})
        return
    from prunecheck.interop.audit import HEADS

    print_columns([HEADS, *found.layer_table()], frozenset(range(1, 6)))
    print()
    print_columns(found.summary())


def _print_overlaps(first: Path, second: Path, model: str | None, *, json: bool) -> None:
    from prunecheck.interop import compare_masks
    from prunecheck.interop.overlap import HEADS

    if model is not None:
        raise StudyError("audit: two checkpoints are compared by the names of their tensors; leave --model out.")
    found = compare_masks(first, second)
    if json:
        print_json({"schema_version": 1, **found.to_dict()})
        return
    print_columns([HEADS, *found.layer_table()], frozenset(range(1, 6)))
    print()
    print_columns(found.summary())


def arms(
    mask: str,
    *,
    model: Model,
    checks: Checks = "layerwise_rearrange",
    seeds: str = "0,1,2",
    out: Path,
    weights: str | None = None,
    name: str = "mine",
    n_test: int | None = None,
    controls: Annotated[bool, Parameter(negative="--no-controls")] = True,
    images: Images = CIFAR,
) -> None:
    """Write the arms of a trial for your own training code: mask files and a table to fill in.

    Fill in the columns accuracy and n_test of arms.csv, whose dense rows are your network without a mask, then:
    `prunecheck verdict arms.csv`.

    Example: prunecheck arms mask-{seed}.pt --model resnet32 --out arms

    Parameters
    ----------
    mask
        Masks or a pruned network's weights; with `{seed}` in the path, one file per seed.
    checks
        Checks of masks and weights, separated by commas.
    seeds
        Seeds, separated by commas.
    out
        The folder to write to.
    weights
        Initial weights of the tickets, for checks of weights; `{seed}` as above.
    name
        Name of the method in the table.
    n_test
        Number of images in your test set.
    controls
        Add a random ticket with the same counts in every layer, and its rearrangement.
    """
    from prunecheck.interop import write_arms

    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise StudyError(f"--seeds {seeds}: write whole numbers separated by commas, e.g. 0,1,2.") from None
    with _warnings_as_notes():
        table = write_arms(
            mask,
            partial(_built, model, images),
            out,
            checks=[check.strip() for check in checks.split(",")],
            seeds=numbers,
            start=weights,
            name=name,
            n_test=n_test,
            controls=controls,
        )
    note(
        f"{table} written. Train every row (dense: your network without a mask), fill in accuracy and n_test, then: "
        f"prunecheck verdict {table}"
    )


def ticket(
    model: Model,
    *,
    sparsity: str,
    out: Path = Path("ticket.safetensors"),
    seed: int = 0,
    method: Annotated[str, Parameter(completer=completers.methods)] = "random_ticket",
    allocate: Annotated[str | None, Parameter(completer=completers.allocations)] = None,
    pattern: str | None = None,
    also_prune: AlsoPrune = "",
    images: Images = CIFAR,
    json: Json = False,
) -> None:
    """Write the mask of a ticket for a model. Needs no data and no training.

    Example: prunecheck ticket resnet32 --sparsity 98% --out ticket.safetensors

    Parameters
    ----------
    sparsity
        Fraction of weights removed: 0.98 or 98%.
    out
        The .safetensors file to write.
    seed
        Seed of the positions and, for methods that use them, of the initial weights.
    method
        Any method that needs neither data nor training.
    allocate
        A name from `prunecheck list allocations`, instead of the method's own.
    pattern
        Keep a structured pattern: 2:4, filters, rows, columns, kernels, or blocks such as 4x4.
    """
    from prunecheck.interop import save_masks
    from prunecheck.pruning.layers import layers_of, validate_also
    from prunecheck.pruning.left_dense import left_dense
    from prunecheck.pruning.masks import counts_of, sparsity_of
    from prunecheck.pruning.seeds import torch_stream

    with torch_stream(seed, "init"):  # the initial weights a study would give this seed
        network = _built(model, images)
    inputs, also = _shape_alone(method, images), validate_also(also_prune)
    how: dict[str, Any] = {"allocate": allocate, "pattern": pattern, "also_prune": also}
    masks = api.mask(method, network, inputs, sparsity, seed=seed, **how)
    path, counts, reached = save_masks(masks, out), counts_of(masks), sparsity_of(masks)
    weights = sum(mask.numel() for mask in masks.values())
    if json:
        document = {"model": model, "method": method, "seed": seed, "sparsity": reached, "file": str(path)}
        print_json({"schema_version": 1, **document, "weights": weights, "counts": counts})
        return
    kept = sum(counts.values())
    print(f"{path}: {kept} of {weights} weights kept in {len(counts)} layers ({percent(round(reached, 4))} sparse)")
    dense = left_dense(network, layers_of(network, also))
    if dense is not None:
        print(dense.sentence([round(reached, 4)]))


def _built(model: str, images: Images) -> nn.Module:
    """The named network; its weights come from torch's generator as it stands."""
    from prunecheck import models

    return models.build(model, images.classes, images.channels, images.image_size)


def _shape_alone(method: str, images: Images) -> tuple[Tensor, Tensor] | None:
    """One empty image, which tells methods without data the shape of an input; nothing for those that score on data."""
    import torch

    from prunecheck.pruning import METHODS

    if {"batches", "loss", "train_loader"} & set(METHODS.get(method).asks):
        return None
    return torch.zeros(1, *images.shape), torch.zeros(1, dtype=torch.int64)


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    for warning in found:
        note(f"note: {warning.message}")
