"""The sparse backend: two workers of one thread each that compute only kept weights, against our dense loop on two
such workers and against the official loop on two threads. All take turns on the same network and kind of images.

Not part of ``all``: it takes about ten minutes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import pairs
from benchmarks.crew import Crew, Turns
from benchmarks.table import Row, ratio_table
from benchmarks.training import LOADERS, WORKERS, Say, _fastest, _warm
from benchmarks.turns import KERNEL_CALLS, KERNEL_FLOPS, Regime, epochs, kernel, network

if TYPE_CHECKING:
    from torch import Tensor, nn

UNIFORM, SMART = "uniform", "smart ratio"
SPARSITIES = (0.9, 0.95, 0.98)


@dataclass(frozen=True)
class Case:
    """One network with its targets: (mask, sparsity) -> least ratio to the official loop. Our dense loop must never be
    faster, target or not."""

    regime: Regime
    targets: Mapping[tuple[str, float], float]


FULL = (
    Case(
        Regime("resnet32", 32, 64, 1, 150),
        {(UNIFORM, 0.95): 2.5, (UNIFORM, 0.98): 8, (SMART, 0.95): 2.5, (SMART, 0.98): 5},
    ),
    Case(Regime("vgg19_bn", 32, 64, 1, 150), {(UNIFORM, 0.98): 4, (SMART, 0.98): 2}),
    Case(Regime("resnet20_w16", 32, 128, 1, 90), {}),
    Case(Regime("resnet8_w16", 16, 128, 8, 60), {}),
)
QUICK = (Case(Regime("convnet_w32", 16, 16, 2, 0), {}),)

LEGEND = (
    "Images a second, two one-thread workers each; the official loop has two threads. Ceiling: what would be reached "
    "if the surviving multiplications ran as fast as a dense 3x3 convolution kernel and everything else cost nothing. "
    "What keeps us from it is memory: at 98 % every activation is still written and read some fifteen times per step "
    "(convolution, batch norm, ReLU, forwards and backwards), whatever the sparsity."
)


def report(quick: bool, say: Say) -> str:
    official, dense = [], []
    for case in QUICK if quick else FULL:
        against_official, against_dense = measured(case, LOADERS[:2] if quick else LOADERS, say)
        official += against_official
        dense += against_dense
    return (
        f"Sparse loop / official loop\n\n{ratio_table(official)}\n\n"
        f"Sparse loop / our dense loop\n\n{ratio_table(dense)}\n\n{LEGEND}"
    )


def measured(case: Case, loaders: tuple[int, ...], say: Say) -> tuple[list[Row], list[Row]]:
    """The rows of one network: against the official loop and against our dense one."""
    regime = case.regime
    say(f"sparse: {regime.title}")
    images = regime.batch * regime.steps
    cells = [(mask, sparsity) for mask in (UNIFORM, SMART) for sparsity in SPARSITIES]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours = stack.enter_context(Crew(WORKERS, make_sparse, regime, Path(folder)))
        ours.wait()
        official = _fastest(regime, loaders, stack)
        arms: dict[str, Callable[[], float]] = {
            "official": lambda: official.turn("steps") / images,
            "dense": partial(_seconds_an_image, ours, "dense", WORKERS * images),
            "kernel": lambda: ours.turn("kernel") / (WORKERS * KERNEL_CALLS * KERNEL_FLOPS / regime.flops),
        }
        for cell in cells:
            arms[title(*cell)] = partial(_seconds_an_image, ours, title(*cell), WORKERS * images)
        rounds = _warm(arms, regime.seconds)
    official_rows, dense_rows = [], []
    for cell in cells:
        share = surviving_share(regime, *cell)
        name = title(*cell)
        what = f"{regime.title}, {name}"
        for rows, slow, target in (
            (official_rows, "official", case.targets.get(cell)),
            (dense_rows, "dense", 1.0),
        ):
            ceiling = pairs.ratio(rounds, slow=slow, fast="kernel").median / share
            rows.append(Row(what, pairs.ratio(rounds, slow=slow, fast=name), ceiling, target))
    return official_rows, dense_rows


def _seconds_an_image(crew: Crew, turn: str, images: int) -> float:
    return crew.turn(turn) / images


def title(mask: str, sparsity: float) -> str:
    return f"{mask} {100 * sparsity:g} %"


def masks_of(net: nn.Module, mask: str, sparsity: float) -> dict[str, Tensor]:
    """Random masks with the counts of the smart ratio or with one share for every layer."""
    from prunecheck import random_ticket
    from prunecheck.pruning.allocations.simple import uniform
    from prunecheck.pruning.layers import layers_of
    from prunecheck.pruning.masks import random_masks
    from prunecheck.pruning.seeds import stream

    if mask == SMART:
        return random_ticket(net, sparsity)
    layers = layers_of(net)
    return random_masks(layers, uniform(layers, sparsity), stream(0, "benchmark"))


def surviving_share(regime: Regime, mask: str, sparsity: float) -> float:
    """Of the multiplications of a dense pass, those with kept weights."""
    import torch

    net = network(regime)
    masks = masks_of(net, mask, sparsity)
    work = {"dense": 0.0, "kept": 0.0}

    def count(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            pixels = output[0, 0].numel()
            work["dense"] += pixels * masks[name].numel()
            work["kept"] += pixels * int(masks[name].sum())

        return hook

    for name in masks:
        net.get_submodule(name.removesuffix(".weight")).register_forward_hook(count(name))
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, regime.side, regime.side))
    return work["kept"] / work["dense"]


def make_sparse(regime: Regime, store: Path) -> Turns:
    """One worker: an epoch of our dense loop, of the sparse loop with every mask, or the kernel alone."""
    import torch

    from prunecheck.runner.worker import WorkerConfig, initialise
    from prunecheck.training import sparse
    from prunecheck.training.sparse.maps import Pool

    initialise(WorkerConfig(store, None, ()))
    sparse.warm()
    pool = Pool()  # one for all, or their buffers would fill the memory
    turns: dict[str, Callable[[], None]] = {"kernel": kernel()}
    example = torch.zeros(2, 3, regime.side, regime.side)
    for mask in (UNIFORM, SMART):
        for sparsity in SPARSITIES:
            net = network(regime).to(memory_format=torch.channels_last)
            masks = masks_of(net, mask, sparsity)
            try:
                kept_only = sparse.sparse_network(net, masks, example)
            except sparse.Dense:
                turns[title(mask, sparsity)] = epochs(regime, masks)
            else:
                kept_only._pool = pool
                turns[title(mask, sparsity)] = epochs(regime, None, kept_only)
    turns["dense"] = epochs(regime, masks)
    return turns
