"""How often are the verdicts wrong, silent, and expensive? Simulated studies, judged by the code that judges real ones.

    python benchmarks/operating_characteristics.py [STUDIES] [FAMILY ...]
    python benchmarks/operating_characteristics.py STUDIES drops    # DEPENDS alone, for many shapes of drops

The margin is 1, so every number is in margins. ``sigma`` is the standard deviation of one arm between seeds, ``rho``
the correlation of the two arms of one seed. STUDIES is the number of simulated studies per row (default 2000). The
families are split: those of ``TUNING`` were used to choose the constants of the procedure, those of ``CONFIRMATION``
were run once after all constants were fixed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from prunecheck.statistics.calibration import calibration
from prunecheck.statistics.futility import is_futile
from prunecheck.statistics.inference import LIMIT, Looks, look, p_above, p_below, stack, take_looks
from prunecheck.statistics.procedure import (
    ONE_SPARSITY,
    checks_failed,
    decided,
    members,
    methods_pass,
    p_check_depends,
    p_check_fails,
)
from prunecheck.statistics.ruined import FEW_RUNS, is_excluded, ruined
from prunecheck.statistics.variance import Array

ALPHA = 0.05
SEED = 20200922


@dataclass(frozen=True)
class Truth:
    """A family of studies. ``drops``: one for all checks, or one for each check, or (sparsities, checks)."""

    drops: object = 0.0
    sigma: float = 1.0
    methods: int = 1
    checks: int = 3
    sparsities: int = 1
    rho: float = 0.2
    spread: float = 0.2
    """log standard deviation of the noise of each arm"""
    shape: str = "normal"
    """of both arms: normal, t3, binomial, rounded; or of the corrupted arm only: exponential; of the clean arm only:
    clean exponential"""
    clean_noise: float = 1.0
    check_noise: float = 1.0
    """factors for the clean arm and for the first check"""
    ruin: tuple[float, float] = (0.0, 0.0)
    """rate of ruined corrupted runs, and how far down they are"""
    ruin_checks: int | None = None
    """how many checks are ruined, None = all"""
    missing: float = 0.0
    seeds: int | None = None
    """fixed number of seeds; None = sequential, 3 to ``max_seeds``"""
    max_seeds: int = 10
    futility: bool = True


@dataclass
class Rates:
    """Shares of checks and methods by verdict, and trainings (clean and corrupted) per check and sparsity."""

    depends: float
    fails: float
    passes: float
    method_fails: float
    trainings: float
    studies: int
    more: dict[str, float] = field(default_factory=dict)


def _unit(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """Noise of mean 0 and standard deviation 1."""
    if kind == "t3":
        return np.asarray(rng.standard_t(3, shape) / np.sqrt(3))
    if kind == "exponential":
        return np.asarray(1 - rng.exponential(size=shape))  # the bad tail is long
    return np.asarray(rng.standard_normal(shape))


def draw(truth: Truth, studies: int, rng: np.random.Generator, seeds: int) -> tuple[Array, Array]:
    """Clean arms (studies, sparsities, methods, seeds) and corrupted ones (..., methods, checks, seeds), in margins."""
    K, M, C = truth.sparsities, truth.methods, truth.checks
    drops = np.broadcast_to(np.asarray(truth.drops, dtype=np.float64), (K, C))
    both = truth.shape if truth.shape in ("t3",) else "normal"
    sd = truth.sigma * np.exp(truth.spread * rng.standard_normal((studies, K, M, C + 1)))
    sd[..., 0] *= truth.clean_noise
    sd[..., 1] *= truth.check_noise
    common = rng.standard_normal((studies, K, M, 1, seeds))
    share = np.sqrt(abs(truth.rho))
    own = _unit(rng, (studies, K, M, C + 1, seeds), both)
    if truth.shape == "exponential":
        own[..., 1:, :] = _unit(rng, own[..., 1:, :].shape, "exponential")
    if truth.shape == "clean exponential":
        own[..., 0, :] = _unit(rng, own[..., 0, :].shape, "exponential")
    z = share * common + np.sqrt(1 - share**2) * own
    if truth.rho < 0:
        z[..., 0, :] -= 2 * share * common[..., 0, :]
    runs = sd[..., None] * z
    runs[..., 1:, :] -= drops[None, :, None, :, None]
    rate, depth = truth.ruin
    bad = rng.random(runs.shape) < rate
    bad[..., 0, :] = False
    if truth.ruin_checks is not None:
        bad[..., 1 + truth.ruin_checks :, :] = False
    runs -= depth * bad
    if truth.shape == "rounded":
        runs = np.round(runs / 0.5) * 0.5
    if truth.shape == "binomial":  # 1,000 test images, a margin of 0.84 points, 90 % right
        share_right = np.clip(0.9 + 0.0084 * runs, 0, 1)
        runs = (rng.binomial(1000, share_right) / 1000 - 0.9) / 0.0084
    lost = rng.random(runs.shape) < truth.missing
    runs = np.where(lost, np.nan, runs)
    return runs[..., 0, :], runs[..., 1:, :]


def play(truth: Truth, studies: int, rng: np.random.Generator) -> Rates:
    """Whole methods, seeds added wherever a check is open."""
    K, M, C = truth.sparsities, truth.methods, truth.checks
    analyses = (truth.seeds,) if truth.seeds else tuple(range(3, truth.max_seeds + 1))
    clean, corrupted = draw(truth, studies, rng, analyses[-1])
    owners = np.repeat(np.arange(M), C)
    required = np.ones((studies, M, C), dtype=bool)
    active = np.ones((studies, M, C), dtype=bool)
    shown = np.full_like(corrupted, np.nan)
    cells, means = [], []
    used = calibration(owners, len(analyses) > 1)
    for start, n in zip((0, *analyses[:-1]), analyses, strict=True):
        shown[..., start:n] = np.where(active[:, None, ..., None], corrupted[..., start:n], np.nan)
        d = (clean[..., None, :] - shown)[..., :n].reshape(studies, K, M * C, n)
        cells.append(look(d, start, owners, limit=LIMIT))
        if K == 1:
            means.append(cells[-1])
        else:
            means.append(
                look(d.mean(axis=1, keepdims=True), start, owners, likeness=cells[-1].likeness[:, :1], limit=LIMIT)
            )
        each = Looks(analyses, stack(analyses, cells).seen, used)
        mean = Looks(analyses, stack(analyses, means).seen, used)
        p_cells, p_mean = p_above(each, 1.0), p_above(mean, 1.0)[:, 0]
        depends = np.nan_to_num(p_check_depends(p_cells, p_mean), nan=1.0)
        fails = p_check_fails(p_below(mean, 1.0)[:, 0], p_below(each, ONE_SPARSITY))
        allowed = ruin_excluded(clean[..., :n], shown[..., :n], last=n == analyses[-1])
        table = (studies, M, C)
        depends, fails = depends.reshape(table), fails.reshape(table)
        certain = np.where(allowed, fails, 1.0)
        failed = checks_failed(certain, required, ALPHA, "method")
        done = decided(depends, certain, failed, required, ALPHA, "method")
        if truth.futility and n < analyses[-1]:
            level = np.where(failed.any(axis=-1, keepdims=True), ALPHA, ALPHA / C) + 0 * depends
            family = ALPHA / members(p_cells)
            hopeless = is_futile(
                cells[-1], _flat(means[-1]), analyses, 1.0, family * used, level.reshape(studies, -1) * used
            )
            done |= hopeless.reshape(table)
        active &= ~done
    failed = checks_failed(certain, required, ALPHA, "method")
    passes = methods_pass(depends, required, ALPHA, "method") & ~failed.any(axis=-1)
    per_check = np.isfinite(shown).sum(axis=-1)
    trainings = per_check.sum(axis=-1) + per_check.max(axis=-1)  # the clean arm goes as far as its longest check
    is_depends = depends <= ALPHA
    is_not = (certain <= ALPHA) & ~is_depends
    return Rates(
        is_depends.mean(),
        is_not.mean(),
        passes.mean(),
        failed.any(axis=-1).mean(),
        trainings.mean() / C,
        studies * M,
        {
            "first depends": is_depends[..., 0].mean(),
            "first fails": is_not[..., 0].mean(),
            "last fails": is_not[..., -1].mean(),
        },
    )


def _flat(seen: object) -> object:
    return type(seen)(*(part[:, 0] for part in seen))  # type: ignore[attr-defined, call-arg]


def ruin_excluded(clean: Array, corrupted: Array, *, last: bool) -> Array:
    """Whether ruined runs stand no longer in the way of "does not depend", (studies, methods, checks)."""
    studies, K, M, C, n = corrupted.shape
    seen = np.isfinite(corrupted).any(axis=(3,))
    arms = np.concatenate([np.where(seen, clean, np.nan)[..., None, :], corrupted], axis=3)
    bad = ruined(arms.reshape(studies, K, M * (C + 1), n)).reshape(studies, K, M, C + 1, n)
    runs = np.isfinite(arms).sum(axis=-1)
    total, found = runs[..., 1:].sum(axis=(1, 3)), bad[..., 1:, :].sum(axis=(1, 3, 4))
    usual = total * bad[..., 0, :].sum(axis=(1, 3)) / np.maximum(runs[..., 0].sum(axis=1), 1)
    found = np.maximum(0, found - np.floor(usual))
    excluded = is_excluded(total, found)[..., None]
    if last:
        excluded = excluded | ((found[..., None] == 0) & (runs[..., 1:].sum(axis=1) >= FEW_RUNS))
    return np.asarray(np.broadcast_to(excluded, (studies, M, C)))


MARGIN = Truth(drops=1.0)
TUNING: Mapping[str, Truth] = {
    "one method": MARGIN,
    "one method, sigma .5": replace(MARGIN, sigma=0.5),
    "K=3": replace(MARGIN, sparsities=3),
    "K=3, M=3": replace(MARGIN, sparsities=3, methods=3),
    "M=3": replace(MARGIN, methods=3),
    "first check 4x, C=8, K=3": replace(MARGIN, checks=8, sparsities=3, check_noise=4.0),
    "first check 4x, C=3": replace(MARGIN, check_noise=4.0),
    "first check 10x, C=3, K=3": replace(MARGIN, check_noise=10.0, sparsities=3),
    "first check 4x, M=3": replace(MARGIN, check_noise=4.0, methods=3),
    "clean 2x, K=3": replace(MARGIN, clean_noise=2.0, sparsities=3),
    "clean 3x": replace(MARGIN, clean_noise=3.0),
    "rho -.5": replace(MARGIN, rho=-0.5),
    "log-sd .5": replace(MARGIN, spread=0.5),
    "t3": replace(MARGIN, shape="t3"),
    "fixed 3": replace(MARGIN, seeds=3),
    "fixed 3, K=3": replace(MARGIN, seeds=3, sparsities=3),
    "fixed 3, first check 4x, K=3": replace(MARGIN, seeds=3, sparsities=3, check_noise=4.0),
    "fixed 5": replace(MARGIN, seeds=5),
    "fixed 5, first check 4x": replace(MARGIN, seeds=5, check_noise=4.0),
}
CONFIRMATION: Mapping[str, Truth] = {
    "M=2, C=4, K=2": replace(MARGIN, methods=2, checks=4, sparsities=2),
    "M=6, C=8, K=5": replace(MARGIN, methods=6, checks=8, sparsities=5),
    "M=1, C=1, K=5": replace(MARGIN, checks=1, sparsities=5),
    "C=2": replace(MARGIN, checks=2),
    "first check 2x": replace(MARGIN, check_noise=2.0),
    "first check 6x, C=5, K=2": replace(MARGIN, checks=5, sparsities=2, check_noise=6.0),
    "first check 10x, M=2": replace(MARGIN, methods=2, check_noise=10.0),
    "clean 5x, C=5": replace(MARGIN, checks=5, clean_noise=5.0),
    "clean 10x, K=2": replace(MARGIN, sparsities=2, clean_noise=10.0),
    "rho .8": replace(MARGIN, rho=0.8),
    "rho -.8, K=3": replace(MARGIN, rho=-0.8, sparsities=3),
    "binomial": replace(MARGIN, shape="binomial", sigma=0.3),
    "rounded, sigma .3": replace(MARGIN, shape="rounded", sigma=0.3),
    "t3, K=3": replace(MARGIN, shape="t3", sparsities=3),
    "missing 20 %": replace(MARGIN, missing=0.2),
    "missing 20 %, K=3": replace(MARGIN, missing=0.2, sparsities=3),
    "fixed 4, M=2": replace(MARGIN, seeds=4, methods=2),
    "fixed 7, K=3": replace(MARGIN, seeds=7, sparsities=3),
    "fixed 10, first check 5x": replace(MARGIN, seeds=10, check_noise=5.0),
    "fixed 14, K=5": replace(MARGIN, seeds=14, sparsities=5),
    "sequential to 20": replace(MARGIN, max_seeds=20),
    "no futility": replace(MARGIN, futility=False),
}
SKEWED: Mapping[str, Truth] = {
    "exponential, corrupted arm": replace(MARGIN, shape="exponential"),
    "exponential, clean arm": replace(MARGIN, shape="clean exponential"),
    "10 % lose 10, all checks": Truth(sigma=0.5, ruin=(0.1, 10.0)),
    "20 % lose 10, all checks": Truth(sigma=0.5, ruin=(0.2, 10.0)),
    "20 % lose 20, all checks": Truth(sigma=0.5, ruin=(0.2, 20.0)),
    "20 % collapse, K=3": Truth(sigma=0.5, ruin=(0.2, 16.0), sparsities=3),
    "20 % lose 10, one check": Truth(sigma=0.5, ruin=(0.2, 10.0), ruin_checks=1),
    "20 % lose 10, one check, K=3": Truth(sigma=0.5, ruin=(0.2, 10.0), ruin_checks=1, sparsities=3),
    "20 % lose 10, C=1": Truth(sigma=0.5, ruin=(0.2, 10.0), checks=1),
    "20 % lose 10, fixed 5": Truth(sigma=0.5, ruin=(0.2, 10.0), seeds=5),
    "20 % lose 10, fixed 10": Truth(sigma=0.5, ruin=(0.2, 10.0), seeds=10),
}


def power(sparsities: int = 1) -> dict[str, Truth]:
    """The table of power: drop by noise."""
    return {
        f"K={sparsities}, sigma {sigma}, drop {drop}": Truth(drops=drop, sigma=sigma, sparsities=sparsities)
        for sigma in (0.25, 0.5, 1.0, 2.0)
        for drop in (0.0, 0.5, 1.0, 2.0, 4.0)
    }


FAMILIES: Mapping[str, Mapping[str, Truth]] = {
    "tuning": TUNING,
    "confirmation": CONFIRMATION,
    "skewed": SKEWED,
    "power": power(),
    "power3": power(3),
}


Drops = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sd: float) -> Array:
    return np.asarray(sd * rng.standard_normal(shape))


AT_THE_MARGIN: Mapping[str, Drops] = {
    **{f"normal, sd {sd:g}": lambda r, s, sd=sd: 1 + _noise(r, s, sd) for sd in (1, 3, 6, 10, 100)},  # type: ignore[misc]
    "t3, sd 5": lambda r, s: 1 + 5 / 3**0.5 * r.standard_t(3, s),
    "uniform, 1 +- 10": lambda r, s: 1 + r.uniform(-10, 10, s),
    "lognormal, log-sd 1": lambda r, s: r.lognormal(-0.5, 1, s) + _noise(r, s, 0.3),
    "lognormal, log-sd 1.5": lambda r, s: r.lognormal(-1.125, 1.5, s) + _noise(r, s, 0.3),
    "gamma, shape 0.5": lambda r, s: r.gamma(0.5, 2, s) + _noise(r, s, 0.3),
    "one run in 5 loses 5": lambda r, s: 5.0 * (r.random(s) < 1 / 5) + _noise(r, s, 0.3),
    "one run in 30 loses 30": lambda r, s: 30.0 * (r.random(s) < 1 / 30) + _noise(r, s, 0.3),
    "one run in 20 loses 20, sd 3": lambda r, s: 20.0 * (r.random(s) < 1 / 20) + _noise(r, s, 3),
    "30 % of either arm lose 20": lambda r, s: (
        1 + 20.0 * (r.random(s) < 0.3) - 20.0 * (r.random(s) < 0.3) + _noise(r, s, 0.7)
    ),
    "left: 1 + 3 - exponential of mean 3": lambda r, s: 4 - r.exponential(3, s),
}
"""Drops of mean 1, the margin: DEPENDS is wrong."""
ABOVE_THE_MARGIN: Mapping[str, Drops] = {
    "normal, mean 2, sd 1": lambda r, s: 2 + _noise(r, s, 1),
    "normal, mean 6, sd 3": lambda r, s: 6 + _noise(r, s, 3),
    "lognormal, mean 4, log-sd 1": lambda r, s: 4 * r.lognormal(-0.5, 1, s) + _noise(r, s, 0.5),
    "lognormal, mean 10, log-sd 1": lambda r, s: 10 * r.lognormal(-0.5, 1, s) + _noise(r, s, 0.5),
    "lognormal, mean 10, log-sd 1.5": lambda r, s: 10 * r.lognormal(-1.125, 1.5, s) + _noise(r, s, 0.5),
    "3, and 28 in 40 % of runs": lambda r, s: 3 + 25.0 * (r.random(s) < 0.4) + _noise(r, s, 0.5),
}
"""The same where DEPENDS is right."""


def share_depends(
    drops: Drops, studies: int, seeds: int | None = None, sparsities: int = 1, limit: float = LIMIT
) -> float:
    """How often one check is said to matter, alone in its study: no other cell helps to estimate its noise.

    *seeds*: a fixed number, None = sequential up to 10. *limit*: infinite without the second test.
    """
    analyses = (seeds,) if seeds else tuple(range(3, 11))
    d = drops(np.random.default_rng(SEED), (studies, sparsities, 1, analyses[-1]))
    used = calibration(np.zeros(1, dtype=int), len(analyses) > 1)
    cells = take_looks(d, analyses, limit=limit)._replace(calibration=used)
    mean = take_looks(d.mean(axis=1, keepdims=True), analyses, limit=limit)._replace(calibration=used)
    p = p_check_depends(p_above(cells, 1.0), p_above(mean, 1.0)[:, 0])
    return float((p <= ALPHA).mean())


def print_drops(studies: int) -> None:
    """The share of DEPENDS without and with the second test, for fixed and sequential designs."""
    designs: tuple[tuple[int | None, int], ...] = ((3, 1), (5, 1), (7, 1), (10, 1), (None, 1), (None, 3))
    print("DEPENDS without and with the second test; 3, 5, 7, 10 seeds, sequential, sequential at three sparsities")
    for families in (AT_THE_MARGIN, ABOVE_THE_MARGIN):
        print()
        for label, drops in families.items():
            pairs = (
                [share_depends(drops, studies, seeds, K, limit) for limit in (np.inf, LIMIT)] for seeds, K in designs
            )
            print(f"{label:<38}" + "   ".join(f"{plain:.3f} {both:.3f}" for plain, both in pairs), flush=True)


def main(studies: int = 2000, families: Iterable[str] = ()) -> None:
    """Print one line for each truth."""
    if tuple(families) == ("drops",):
        print_drops(studies)
        return
    print("checks: DEPENDS, NOT (first check the same); method: PASSES, FAILS; trainings per check and sparsity; error")
    for name in tuple(families) or tuple(FAMILIES):
        print(f"\n{name.upper()}")
        for label, truth in FAMILIES[name].items():
            count = max(studies // truth.methods, 1)
            rates = play(truth, count, np.random.default_rng(SEED))
            error = np.sqrt(0.05 * 0.95 / (count * truth.methods))
            print(
                f"{label:<34} {rates.depends:.3f} {rates.fails:.3f} ({rates.more['first depends']:.3f} "
                f"{rates.more['first fails']:.3f})  {rates.passes:.3f} {rates.method_fails:.3f}  "
                f"{rates.trainings:.1f}  +-{error:.3f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2:])
