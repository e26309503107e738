"""ResNet-32 at 98 %: every setting of our loop against the official loop, with all instructions of this processor and
with AVX2 alone.

CPU seconds of one thread, so that a busy machine disturbs less. All take turns; the official loop prepares its images
in the same thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product

from benchmarks import pairs
from benchmarks.crew import Crew, Turns
from benchmarks.precision import processor
from benchmarks.sparse import SMART, UNIFORM, masks_of
from benchmarks.table import Row, ratio_table
from benchmarks.turns import Regime, epochs, make_official, network

FULL = Regime("resnet32", 32, 64, 4, 420)
QUICK = Regime("convnet_w32", 16, 16, 2, 0)
SPARSITY = 0.98
TARGETS = {
    "all instructions": {UNIFORM: 7.0, SMART: 5.0},
    "AVX2 alone": {UNIFORM: 8.0, SMART: 5.0},
}
OFFICIAL, DENSE = "official", "dense, bfloat16"
LEGEND = "Images per CPU second of one thread; a target is one of the best setting."
ONLY_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def report(quick: bool, say: Callable[[str], None]) -> str:
    regime = QUICK if quick else FULL
    say(f"targets: {regime.title}")
    with ExitStack() as stack:
        crews = {name: _crews(regime, name, stack) for name in environments()}
        names = [(UNIFORM, "float32"), (UNIFORM, "bfloat16"), (SMART, "float32"), (SMART, "bfloat16")]
        arms: dict[str, Callable[[], float]] = {}
        for where, (official, ours) in crews.items():
            arms[f"{where}: {OFFICIAL}"] = partial(official.cpu_seconds, "steps")
            for turn in [DENSE] * (where == "all instructions") + [" ".join(name) for name in names]:
                arms[f"{where}: {turn}"] = partial(ours.cpu_seconds, turn)
        for work in arms.values():
            work()  # what is loaded or compiled on first use is not counted
        rounds = pairs.take_turns(arms, regime.seconds)
    rows = []
    for arm in arms:
        where, _, turn = arm.partition(": ")
        if turn != OFFICIAL:
            target = next((least for mask, least in TARGETS[where].items() if turn.startswith(mask)), None)
            found = pairs.ratio(rounds, slow=f"{where}: {OFFICIAL}", fast=arm)
            rows.append(Row(f"{arm} / {OFFICIAL}", found, target=target))
    return f"{processor()}\n\n{ratio_table(rows)}\n\n{LEGEND}"


def _crews(regime: Regime, where: str, stack: ExitStack) -> tuple[Crew, Crew]:
    """The processes of the official loop and of ours, with the instructions named *where*."""
    with _environment(environments()[where]):
        official = stack.enter_context(Crew(1, make_official_single, regime))
        ours = stack.enter_context(Crew(1, make_ours, regime, where == "all instructions"))
        official.wait()
        ours.wait()
    return official, ours


def environments() -> dict[str, dict[str, str]]:
    """The variables that processes start with; those of numba are the features of this processor but AVX-512."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    for name in features:
        if name.startswith(("avx512", "avx10", "amx")):
            features[name] = False
    numba = {"NUMBA_CPU_FEATURES": features.flatten()}
    return {"all instructions": {}, "AVX2 alone": ONLY_AVX2 | numba}


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def make_official_single(regime: Regime) -> Turns:
    """The official loop on one thread, which prepares the images too."""
    import torch

    turns = make_official(regime, 0)
    torch.set_num_threads(1)
    return turns


def make_ours(regime: Regime, bfloat16: bool) -> Turns:
    """Epochs of tickets on one thread. *bfloat16*: whether this processor's instructions for it may be used."""
    import torch

    from prunecheck.study import numerics
    from prunecheck.training import sparse

    torch.set_num_threads(1)
    sparse.warm()
    able = numerics.bfloat16_instructions() if bfloat16 else []
    example = torch.zeros(2, 3, regime.side, regime.side)
    net = network(regime).to(memory_format=torch.channels_last)
    turns = {DENSE: epochs(regime, masks_of(net, SMART, SPARSITY), net, "bfloat16")}
    for mask, precision in product((UNIFORM, SMART), ("float32", "bfloat16")):
        net = network(regime).to(memory_format=torch.channels_last)
        kept_only = sparse.sparse_network(net, masks_of(net, mask, SPARSITY), example, precision, able)
        turns[f"{mask} {precision}"] = epochs(regime, None, kept_only, precision)
    return turns
