"""Dense training in bfloat16 and sparse training in both precisions, each against dense training in float32, on one
core.

CPU seconds, so that other programs disturb less; every round is one turn of every arm on the same network.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

from benchmarks import pairs
from benchmarks.sparse import SMART, UNIFORM, masks_of, title
from benchmarks.table import Row, ratio_table
from benchmarks.turns import Regime, epochs, network

if TYPE_CHECKING:
    from torch import nn

NETWORKS = (
    Regime("resnet32", 32, 64, 1, 60),
    Regime("vgg19_bn", 32, 64, 1, 60),
    Regime("resnet20_w16", 32, 128, 1, 45),
    Regime("resnet8_w16", 16, 128, 4, 30),
    Regime("fastnet", 32, 128, 2, 30),
)
QUICK = (Regime("convnet_w32", 16, 16, 2, 0),)
MASKS = ((UNIFORM, 0.9), (UNIFORM, 0.98), (SMART, 0.9), (SMART, 0.98))
DENSE, BFLOAT16 = "dense, float32", "dense, bfloat16"


def report(quick: bool, say: Callable[[str], None]) -> str:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for regime in QUICK if quick else NETWORKS:
            say(f"precision: {regime.title}")
            arms = {name: cpu_seconds(work) for name, work in works_of(regime).items()}
            for turn in arms.values():
                turn()  # what is loaded or compiled on first use is not counted
            rounds = pairs.take_turns(arms, regime.seconds)
            rows += [
                Row(f"{regime.title}: {name} / {DENSE}", pairs.ratio(rounds, slow=DENSE, fast=name))
                for name in arms
                if name != DENSE
            ]
    finally:
        torch.set_num_threads(threads)
    return f"{processor()}\n\n{ratio_table(rows)}\n\nImages per CPU second of one thread."


def works_of(regime: Regime) -> dict[str, Callable[[], None]]:
    """One epoch of every arm, each on a network of its own."""
    import torch

    from prunecheck.study import numerics
    from prunecheck.training import sparse

    def fresh() -> nn.Module:
        return network(regime).to(memory_format=torch.channels_last)

    works = {
        DENSE: epochs(regime, masks_of(fresh(), SMART, 0.9), fresh()),
        BFLOAT16: epochs(regime, masks_of(fresh(), SMART, 0.9), fresh(), "bfloat16"),
    }
    example, able = torch.zeros(2, 3, regime.side, regime.side), numerics.bfloat16_instructions()
    for (mask, sparsity), precision in product(MASKS, ("float32", "bfloat16")):
        net = fresh()
        try:
            kept_only = sparse.sparse_network(net, masks_of(net, mask, sparsity), example, precision, able)
        except sparse.Dense:
            continue  # not estimated to be faster: auto trains it densely
        works[f"sparse, {precision}, {title(mask, sparsity)}"] = epochs(regime, None, kept_only, precision)
    return works


def cpu_seconds(work: Callable[[], object]) -> Callable[[], float]:
    """An arm in this process that returns the CPU seconds of *work*."""

    def turn() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return turn


def processor() -> str:
    """The processor's name and what torch and the sparse backend may use of it."""
    from prunecheck.study import numerics

    wide = ", ".join(numerics.bfloat16_instructions()) or "no bfloat16 instructions"
    return f"Processor: {numerics.processor_name()}, {numerics.instruction_set()}, {wide}."
