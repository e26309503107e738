"""Masks of a ResNet-50-sized list of layers (25.5 million weights), from given scores and at random."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks import official_masks, pairs
from benchmarks.pairs import Round
from benchmarks.shapes import resnet50_layers
from benchmarks.table import Row, ratio_table
from prunecheck.pruning import masks as ours
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer, total

SPARSITY = 0.98
SECONDS = 30.0
OFFICIAL_THREADS = 2
TARGETS = "targets on one core: at most 150 ms and 110 MiB from scores, at most 25 ms at random"


def report(quick: bool, say: Callable[[str], None]) -> str:
    layers = resnet50_layers(width=4 if quick else 64)
    seconds = 0.0 if quick else SECONDS
    scores = made_up_scores(layers)
    kept = kept_total(total(layers), SPARSITY)
    say("masks: from scores")
    chosen = pairs.take_turns(arms_from_scores(scores, kept), seconds)
    say("masks: at random")
    drawn = pairs.take_turns(arms_at_random(layers, scores, kept), seconds / 2)
    say("masks: memory")
    memory = {name: extra_memory(name, quick) for name in ("ours", "topk", "sort")}
    return f"{ratio_table(_rows(chosen, drawn))}\n\n{_absolute(chosen, drawn, memory, total(layers))}"


def arms_from_scores(scores: dict[str, Tensor], kept: int) -> dict[str, Callable[[], float]]:
    """Several calls a turn where one is too short to see who else was busy. ``floor``: only compare, with a cut that
    fell from the sky."""
    plain = list(scores.values())
    cut = ours.global_cut(scores, kept)
    return {
        "ours": pairs.timed(_on(1, partial(from_scores, scores, kept)), 4),
        "topk": pairs.timed(_on(OFFICIAL_THREADS, partial(official_masks.by_topk, plain, kept))),
        "sort": pairs.timed(_on(OFFICIAL_THREADS, partial(official_masks.by_sort, plain, kept))),
        "floor": pairs.timed(_on(1, lambda: [score >= cut for score in plain]), 20),
    }


def arms_at_random(layers: tuple[Layer, ...], weights: dict[str, Tensor], kept: int) -> dict[str, Callable[[], float]]:
    """``floor``: masks without a single weight."""
    rng = np.random.default_rng(0)
    counts = {layer.name: layer.size * kept // total(layers) for layer in layers}
    official = partial(official_masks.at_random, list(weights.values()), list(counts.values()))
    return {
        "ours": pairs.timed(_on(1, lambda: ours.random_masks(layers, counts, rng)), 20),
        "randperm": pairs.timed(_on(OFFICIAL_THREADS, official)),
        "floor": pairs.timed(_on(1, lambda: [torch.zeros(layer.shape, dtype=torch.bool) for layer in layers]), 50),
    }


def from_scores(scores: dict[str, Tensor], kept: int) -> ours.Masks:
    """Our way from scores to masks, as the stages go it."""
    return ours.keep_top(scores, ours.global_counts(scores, kept)).masks


def made_up_scores(layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {layer.name: torch.rand(layer.shape, generator=rng) for layer in layers}


def extra_memory(name: str, quick: bool) -> float:
    """MiB above what the scores take, at the highest moment, in a fresh process; NaN where it cannot be known."""
    command = [sys.executable, "-m", "benchmarks.memory", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _on(threads: int, work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        torch.set_num_threads(threads)
        work()

    return run


def _rows(chosen: list[Round], drawn: list[Round]) -> list[Row]:
    rows = []
    for slow, title, target in (("topk", "official, topk", 4), ("sort", "official, sort", 20)):
        ceiling = pairs.ratio(chosen, slow, "floor").median
        rows.append(Row(f"mask from scores: {title} / ours", pairs.ratio(chosen, slow, "ours"), ceiling, target))
    ceiling = pairs.ratio(drawn, "randperm", "floor").median
    found = pairs.ratio(drawn, "randperm", "ours")
    return [*rows, Row("random mask: official, randperm / ours", found, ceiling, 50)]


def _absolute(chosen: list[Round], drawn: list[Round], memory: dict[str, float], weights: int) -> str:
    mib = ", ".join(f"{name} {'unknown' if math.isnan(value) else f'{value:.0f}'}" for name, value in memory.items())
    return (
        f"For information ({weights / 1e6:.1f} million weights, 2 % kept, this machine now; {TARGETS}):\n"
        f"- from scores, ms: {_milliseconds(chosen)}\n"
        f"- at random, ms: {_milliseconds(drawn)}\n"
        f"- memory at the highest moment beyond the scores, MiB: {mib}"
    )


def _milliseconds(rounds: list[Round]) -> str:
    return ", ".join(f"{name} {pairs.typical_ms(rounds, name):.1f}" for name in rounds[0].seconds)
