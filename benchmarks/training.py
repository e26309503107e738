"""Training: our loop on two cores (two workers of one thread each) against the official loop (one process of two
threads) on the same network, masks and kind of images; and what masks cost our loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import pairs
from benchmarks.crew import Crew
from benchmarks.table import Row, ratio_table
from benchmarks.turns import KERNEL_CALLS, KERNEL_FLOPS, Regime, make_official, make_ours

Say = Callable[[str], None]

WORKERS = 2
LOADERS = (0, 2, 4)
"""loading processes of the official loop (4 in the original): it is timed with the number it is fastest with"""

BOX_SECONDS = (100.0, 185.0, 230.0)
"""when the rows are to be done, counted from the start, processes and all; a row that comes late takes one round"""

FULL = (Regime("resnet32", 32, 64, 2, 70, 1.4), Regime("resnet8_w16", 16, 128, 24, 45, 2.5))
FULL_MASKS = Regime("convnet_w32", 16, 64, 40, 35, 1.03)
QUICK = (Regime("convnet_w32", 16, 16, 2, 0),)
QUICK_MASKS = Regime("convnet_w32", 16, 16, 2, 0)

LEGEND = (
    "First rows: images a second of two one-thread workers over those of the official loop on two threads; their "
    "ceiling is reached if the whole network runs as fast as one dense 3x3 convolution kernel."
)


def report(quick: bool, say: Say) -> str:
    loaders, begun = LOADERS[:2] if quick else LOADERS, time.monotonic()
    *ends, end = (begun + seconds for seconds in BOX_SECONDS)
    regimes = QUICK if quick else FULL
    rows = [against_official(regime, loaders, say, by) for regime, by in zip(regimes, ends, strict=False)]
    rows.append(cost_of_masks(QUICK_MASKS if quick else FULL_MASKS, say, end))
    return f"{ratio_table(rows)}\n\n{LEGEND}"


def against_official(regime: Regime, loaders: tuple[int, ...], say: Say, end: float) -> Row:
    say(f"training: {regime.title}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours = stack.enter_context(Crew(WORKERS, make_ours, regime, Path(folder)))
        ours.wait()
        official = _fastest(regime, loaders, stack)
        images = regime.batch * regime.steps
        kernel_images = KERNEL_CALLS * KERNEL_FLOPS / regime.flops
        arms = {
            "official": lambda: official.turn("steps") / images,
            "ours": lambda: ours.turn("masked") / (WORKERS * images),
            "kernel": lambda: ours.turn("kernel") / (WORKERS * kernel_images),
        }
        rounds = _warm(arms, min(regime.seconds, end - time.monotonic()))
    found = pairs.ratio(rounds, slow="official", fast="ours")
    ceiling = pairs.ratio(rounds, slow="official", fast="kernel").median
    return Row(f"{regime.title}: ours / official", found, ceiling, regime.target)


def _fastest(regime: Regime, loaders: tuple[int, ...], stack: ExitStack) -> Crew:
    """The official loop with the number of loading processes that does its best turn soonest; the others go home."""
    crews = [stack.enter_context(Crew(1, make_official, regime, count)) for count in loaders]
    for crew in crews:
        crew.wait()
    times: list[list[float]] = [[] for _ in crews]
    for _ in range(3):
        for crew, taken in zip(crews, times, strict=True):
            taken.append(crew.turn("steps"))
    best = min(range(len(crews)), key=lambda i: min(times[i][1:]))  # the first turn warms up
    for i, crew in enumerate(crews):
        if i != best:
            crew.close()
    return crews[best]


def cost_of_masks(regime: Regime, say: Say, end: float) -> Row:
    say(f"training: masks, {regime.title}")
    with tempfile.TemporaryDirectory() as folder, Crew(1, make_ours, regime, Path(folder)) as crew:
        crew.wait()
        arms: dict[str, Callable[[], float]] = {name: partial(crew.turn, name) for name in ("masked", "plain")}
        rounds = _warm(arms, min(regime.seconds, end - time.monotonic()))
    found = pairs.ratio(rounds, slow="masked", fast="plain")
    return Row(f"{regime.title}: our step with / without masks", found, 1.0, regime.target, at_most=True)


def _warm(arms: dict[str, Callable[[], float]], seconds: float) -> list[pairs.Round]:
    for turn in arms.values():
        turn()
    return pairs.take_turns(arms, seconds)
