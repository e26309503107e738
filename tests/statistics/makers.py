"""Studies made up for the tests: rows from drops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prunecheck.statistics import Row

N_TEST = 10_000
WOBBLE = (0.05, -0.03, 0.01, -0.06, 0.04, 0.02, -0.05, 0.03, -0.02, 0.01)
"""Points of noise by seed: enough to have a spread, too little to matter."""


def arm(method: str, check: str, sparsity: float, points: Sequence[float], **more: object) -> list[Row]:
    """One network per seed 0, 1, ..., accuracies in points."""
    return [
        Row(method, check, sparsity, seed, round(point / 100, 9), N_TEST, **more)  # type: ignore[arg-type]
        for seed, point in enumerate(points)
    ]


def clean(method: str, sparsity: float = 0.9, seeds: int = 10, at: float = 90.0) -> list[Row]:
    """A clean arm without any noise."""
    return arm(method, "clean", sparsity, [at] * seeds)


def hurt(method: str, check: str, drop: float, sparsity: float = 0.9, seeds: int = 10, at: float = 90.0) -> list[Row]:
    """A corrupted arm *drop* points below ``clean``, with a little noise."""
    shift = sum(map(ord, method + check)) % 10
    return arm(method, check, sparsity, [at - drop + WOBBLE[(seed + shift) % 10] for seed in range(seeds)])


def dense(*points: float) -> list[Row]:
    """Dense runs."""
    return [Row("dense", "clean", None, seed, point / 100, N_TEST) for seed, point in enumerate(points or (94.0,))]


def study(drops: Mapping[str, Mapping[str, float]], sparsities: Sequence[float] = (0.9,), seeds: int = 10) -> list[Row]:
    """method -> check -> drop, at every sparsity; and a dense network of 94 %."""
    rows = dense()
    for method, checks in drops.items():
        for sparsity in sparsities:
            rows += clean(method, sparsity, seeds)
            for check, drop in checks.items():
                rows += hurt(method, check, drop, sparsity, seeds)
    return rows


THREE = ("layerwise_rearrange", "random_labels", "random_pixels")


def full(snip: float = 0.0, control: float = 5.0, seeds: int = 10, sparsities: Sequence[float] = (0.9,)) -> list[Row]:
    """A method on trial, the positive control, and A/A."""
    drops = {
        "snip": dict.fromkeys(THREE, snip),
        "lr_rewinding": dict.fromkeys(THREE, control),
        "random_ticket": {"layerwise_rearrange": 0.0},
    }
    return study(drops, sparsities, seeds)
