"""How often are the verdicts wrong, silent, and expensive? Simulated studies, judged by the code that judges real ones.

    python benchmarks/operating_characteristics.py [STUDIES]

The margin is 1, so every number is in margins: with a margin of 0.5 points read the row of twice the noise. ``sigma``
is the standard deviation of one arm between seeds, ``rho`` the correlation of the two arms of one seed. STUDIES is
the number of simulated methods per row (default 2000: a couple of minutes).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prunecheck.statistics import Row, Settings, StudyVerdict, judge, open_checks, schedule
from prunecheck.statistics.inference import hint_above, look, p_above, p_below, stack
from prunecheck.statistics.procedure import checks_failed, methods_pass, p_check_depends, p_check_fails, settled
from prunecheck.statistics.variance import Array

ALPHA = 0.05
MARGIN = 1.0
SEED = 20200922


class Truth(NamedTuple):
    """``drops`` (sparsities, checks) of a method and ``sigma`` (sparsities,), in margins; log-sd of sigma per arm."""

    drops: Array
    sigma: Array
    rho: float = 0.2
    spread: float = 0.2
    missing: float = 0.0
    """share of pairs lost, at random"""
    margin_error: float = 0.0
    """standard deviation of the margin that the study uses, around the one that was meant"""


class Rates(NamedTuple):
    """Shares of cells or of methods with a verdict for and against, and mean seeds per cell."""

    depends: float
    fails: float
    seeds: float


def same(drop: float, sigma: float, rho: float = 0.2, checks: int = 5, sparsities: int = 3) -> Truth:
    """The same drop everywhere."""
    return Truth(np.full((sparsities, checks), drop), np.full(sparsities, sigma), rho)


def draw(truth: Truth, studies: int, methods: int, rng: np.random.Generator, seeds: int = 10) -> Array:
    """Paired differences (studies, sparsities, methods, checks, seeds). All checks share the clean arm."""
    sparsities, checks = truth.drops.shape
    shape = (studies, sparsities, methods)
    sigma = truth.sigma[:, None]
    sd_clean = sigma * np.exp(truth.spread * rng.standard_normal(shape))
    sd_corrupted = sigma[..., None] * np.exp(truth.spread * rng.standard_normal((*shape, checks)))
    clean = rng.standard_normal((*shape, 1, seeds))
    corrupted = truth.rho * clean + np.sqrt(1 - truth.rho**2) * rng.standard_normal((*shape, checks, seeds))
    noise = sd_clean[..., None, None] * clean - sd_corrupted[..., None] * corrupted
    shift = truth.margin_error * rng.standard_normal((studies, 1, 1, 1, 1))
    lost = rng.random(noise.shape) < truth.missing
    return np.where(lost, np.nan, truth.drops[:, None, :, None] + noise + shift)


def play_cells(truth: Truth, studies: int, rng: np.random.Generator, methods: int = 3) -> Rates:
    """Cells judged one by one, each until it is decided; variance borrowed within a sparsity of a study."""
    plan, d = schedule(Settings()), draw(truth, studies, methods, rng)
    d = d.reshape(*d.shape[:2], -1, d.shape[-1])
    shown, active, shots = np.full_like(d, np.nan), np.ones(d.shape[:-1], dtype=bool), []
    for start, one in zip((0, *(one.n for one in plan)), plan, strict=False):
        shown[..., start : one.n] = np.where(active[..., None], d[..., start : one.n], np.nan)
        shots.append(look(shown[..., : one.n], start))
        looks = stack(plan, shots)
        depends, fails = p_above(looks, MARGIN) <= ALPHA, p_below(looks, MARGIN) <= ALPHA
        active &= ~(depends | fails)
    return Rates(depends.mean(), fails.mean(), np.isfinite(shown).sum(axis=-1).mean())


def play_methods(
    truth: Truth, studies: int, rng: np.random.Generator, methods: int = 1, family: str = "method"
) -> dict[str, Array]:
    """Whole methods: ``passes`` (studies, methods), ``failed`` (studies, methods, checks), ``seeds`` per check."""
    plan, d = schedule(Settings()), draw(truth, studies, methods, rng)
    table = (studies, methods, d.shape[3])
    d = d.reshape(*d.shape[:2], -1, d.shape[-1])
    required = np.ones(table, dtype=bool)
    shown, active = np.full_like(d, np.nan), np.ones((studies, d.shape[2]), dtype=bool)
    cells, means = [], []
    for start, one in zip((0, *(one.n for one in plan)), plan, strict=False):
        shown[..., start : one.n] = np.where(active[:, None, :, None], d[..., start : one.n], np.nan)
        cells.append(look(shown[..., : one.n], start))
        means.append(look(shown[..., : one.n].mean(axis=1), start))
        each, mean = stack(plan, cells), stack(plan, means)
        depends = p_check_depends(p_above(each, MARGIN), p_above(mean, MARGIN)).reshape(table)
        fails = p_check_fails(p_below(mean, MARGIN), hint_above(each, MARGIN)).reshape(table)
        active &= ~settled(depends, fails, required, ALPHA, family).reshape(active.shape)
    failed = checks_failed(fails, required, ALPHA, family)
    passes = methods_pass(depends, required, ALPHA, family) & ~failed.any(axis=-1)
    return {"passes": passes, "failed": failed, "seeds": np.isfinite(shown).sum(axis=-1).mean(axis=1)}


def method_rates(truth: Truth, studies: int, rng: np.random.Generator) -> Rates:
    """Shares of methods that pass and fail, one method a study."""
    played = play_methods(truth, studies, rng)
    return Rates(played["passes"].mean(), played["failed"].any(axis=-1).mean(), played["seeds"].mean())


def any_method(truth: Truth, studies: int, rng: np.random.Generator, methods: int, family: str) -> Rates:
    """Shares of studies in which at least one of several equal methods passes or fails."""
    played = play_methods(truth, studies, rng, methods, family)
    fails = played["failed"].any(axis=-1)
    return Rates(played["passes"].any(axis=-1).mean(), fails.any(axis=-1).mean(), played["seeds"].mean())


class Arm(NamedTuple):
    """One method x check of a whole study: its drop (margins), how often its clean and corrupted runs collapse."""

    drop: float
    clean_collapse: float = 0.0
    corrupted_collapse: float = 0.0


Plan = Mapping[str, Mapping[str, Arm]]
"""method -> check -> arm"""


def play_study(
    plan: Plan, sigma: float, rng: np.random.Generator, sparsities: Sequence[float] = (0.9, 0.95)
) -> StudyVerdict:
    """A whole study through the front door: rows in, seeds added wherever the verdict is open, gates and all."""
    settings = Settings(margin=MARGIN, chance=0.1)
    ask = frozenset((method, check) for method, checks in plan.items() for check in checks)
    rows: list[Row] = []
    clean = {
        (method, k, seed): 80 + sigma * rng.standard_normal()
        for method in plan
        for k in sparsities
        for seed in range(10)
    }
    down = {key: rng.random() for key in clean}
    have = dict.fromkeys(ask, 0)
    for one in schedule(settings):
        for method, check in sorted(ask):
            arm = plan[method][check]
            for k in sparsities:
                for seed in range(have[method, check], one.n):
                    key = method, k, seed
                    here = 10.0 if down[key] < arm.clean_collapse else clean[key]
                    there = 80 - arm.drop + sigma * rng.standard_normal()
                    if rng.random() < arm.corrupted_collapse:
                        there = 10.0
                    rows.append(Row(method, "clean", k, seed, here / 100, 10**6))
                    rows.append(Row(method, check, k, seed, there / 100, 10**6))
            have[method, check] = one.n
        answer = judge(rows, settings=settings)
        ask = open_checks(answer)
    return answer


CHECKS = ("random_labels", "random_pixels", "layerwise_rearrange")


def guarded(drop: float, control: float) -> Plan:
    """A method on trial, a positive control, and A/A."""
    return {
        "snip": dict.fromkeys(CHECKS, Arm(drop)),
        "lr_rewinding": dict.fromkeys(CHECKS, Arm(control)),
        "random_ticket": {"layerwise_rearrange": Arm(0.0)},
    }


def study_rates(
    plan: Plan, sigma: float, studies: int, rng: np.random.Generator, method: str = "snip"
) -> dict[str, float]:
    """Shares of whole studies by the verdict of one method, with a banner, and seeds per cell."""
    counts: dict[str, float] = dict.fromkeys(
        ("PASSES", "FAILS", "INCONCLUSIVE", "UNINFORMATIVE", "banner", "seeds"), 0.0
    )
    for _ in range(studies):
        answer = play_study(plan, sigma, rng)
        counts[next(one.verdict for one in answer.methods if one.method == method)] += 1 / studies
        counts["banner"] += (answer.banner is not None) / studies
        cells = [cell.n for check in answer.checks for cell in check.cells]
        counts["seeds"] += sum(cells) / len(cells) / studies
    return counts


def everywhere(*drops: float) -> Array:
    """One drop per check, at all three sparsities."""
    return np.tile(np.array(drops, dtype=np.float64), (3, 1))


def only_top(drop: float) -> Array:
    """A drop at the highest of three sparsities only, in all five checks."""
    drops = np.zeros((3, 5))
    drops[2] = drop
    return drops


METHODS = {
    "initial ticket, all 0": everywhere(0, 0, 0, 0, 0),
    "all half the margin": everywhere(0.5, 0.5, 0.5, 0.5, 0.5),
    "all exactly the margin": everywhere(1, 1, 1, 1, 1),
    "all 1.5 margins": everywhere(1.5, 1.5, 1.5, 1.5, 1.5),
    "all 2 margins": everywhere(2, 2, 2, 2, 2),
    "all 4 margins": everywhere(4, 4, 4, 4, 4),
    "4 margins, top sparsity only": only_top(4),
    "2 margins, top sparsity only": only_top(2),
    "3 data checks 0, 2 others 4": everywhere(0, 0, 0, 4, 4),
    "4 checks 4, one the margin": everywhere(4, 4, 4, 4, 1),
}
SIGMAS = (0.5, 1.0, 1.5)


def row(label: str, rates: Sequence[Rates]) -> str:
    """One line of the table."""
    return f"{label:<34}" + "   ".join(f"{one.depends:5.3f} {one.fails:5.3f} {one.seeds:4.1f}" for one in rates)


def table_of_cells(studies: int, rng: np.random.Generator) -> None:
    print("\nONE CELL: DEPENDS, DOES NOT DEPEND, seeds; sigma = 0.2, 0.5, 1, 1.5")
    for rho in (0.0, 0.5):
        for drop in (0.0, 0.5, 1.0, 2.0, 4.0):
            rates = [play_cells(same(drop, sigma, rho), max(studies // 5, 1), rng) for sigma in (0.2, *SIGMAS)]
            print(row(f"rho {rho}, drop {drop} margins", rates))


def table_of_methods(studies: int, rng: np.random.Generator) -> None:
    print("\nONE METHOD, 5 checks x 3 sparsities: PASSES, FAILS, seeds; sigma = 0.5, 1, 1.5")
    for label, drops in METHODS.items():
        print(row(label, [method_rates(Truth(drops, np.full(3, sigma)), studies, rng) for sigma in SIGMAS]))
    print("\nTHE SAME, HARDER: all 0, all the margin, all 2 margins")
    harder = {
        "sigma 0.5, 1, 2 by sparsity": Truth(everywhere(0), np.array([0.5, 1.0, 2.0])),
        "sigma 0.3, 1, 3 by sparsity": Truth(everywhere(0), np.array([0.3, 1.0, 3.0])),
        "1 pair in 10 lost": Truth(everywhere(0), np.full(3, 0.5), missing=0.1),
        "3 pairs in 10 lost": Truth(everywhere(0), np.full(3, 0.5), missing=0.3),
        "margin from 3 dense runs (6% off)": Truth(everywhere(0), np.full(3, 0.5), margin_error=0.06),
        "margin from 1 dense run (10% off)": Truth(everywhere(0), np.full(3, 0.5), margin_error=0.10),
    }
    for label, truth in harder.items():
        drops = [truth._replace(drops=everywhere(*[drop] * 5)) for drop in (0, 1, 2)]
        print(row(label, [method_rates(one, studies, rng) for one in drops]))
    print("\nFIVE METHODS in one study, all exactly the margin: any PASSES, any FAILS, seeds; sigma = 0.5, 1, 1.5")
    for family in ("method", "study"):
        some = [any_method(same(1.0, sigma), max(studies // 4, 1), rng, 5, family) for sigma in SIGMAS]
        print(row(f"family: {family}", some))


def table_of_studies(studies: int, rng: np.random.Generator) -> None:
    count = max(studies // 20, 1)
    print(f"\nWHOLE STUDIES with gates, {count} each, 3 checks x 2 sparsities: the method on trial")
    plans = {
        f"drop {drop}, control {control}, sigma {sigma}": (guarded(drop, control), sigma)
        for drop, control, sigma in (
            (0, 4, 0.5),
            (0, 4, 1.0),
            (0, 2, 0.5),
            (0, 1, 0.5),
            (0, 0, 0.5),
            (1, 4, 0.5),
            (2, 4, 0.5),
        )
    }
    plans |= {
        f"collapse {clean} / {corrupted}, sigma 0.5": ({"snip": dict.fromkeys(CHECKS, Arm(0.0, clean, corrupted))}, 0.5)
        for clean, corrupted in ((0.1, 0.1), (0.2, 0.2), (0.5, 0.5), (0.0, 0.2), (0.0, 1.0), (1.0, 1.0))
    }
    for label, (plan, sigma) in plans.items():
        rates = study_rates(plan, sigma, count, rng)
        print(f"{label:<34}" + "  ".join(f"{name} {share:.3f}" for name, share in rates.items()))


def main(studies: int = 2000) -> None:
    """Print every table."""
    rng = np.random.default_rng(SEED)
    print(f"margin 1; error rate {ALPHA} per side; looks {Settings().looks}; {studies} methods per row")
    table_of_cells(studies, rng)
    table_of_methods(studies, rng)
    table_of_studies(studies, rng)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
