"""What a settled study costs beside the official loop with ten seeds in every arm, in trainings and in seconds.

    uv run python -m benchmarks.settled_study --out settled.jsonl [CASE ...]

An adaptive study is run until it is settled, on one thread. Between its trainings the official loop (one thread, the
same network, data and batch size) takes turns of a few steps. Seconds are of one core's time, which other programs on
the machine change little; the official loop's are those of one step times the steps of all the trainings behind ten
seeds of every arm, nothing shared, as a script that trains one arm at a time needs them. The floor is the same study
with three seeds in every arm: fewer trainings cannot give a verdict. Every case is one line of the file when it is
finished; cases that are there already are not run again.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.official_loop import OfficialTraining, PilImages, begin
from benchmarks.table import markdown
from prunecheck import data
from prunecheck.models import build
from prunecheck.resources import study_text
from prunecheck.runner.progress import Progress
from prunecheck.runner.study_run import run_study
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Store
from prunecheck.study import Study, load_study, make_plan
from prunecheck.study.plan import largest_seeds
from prunecheck.study.study import located

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.study.step import Step

DEMO: Mapping[str, Any] = {**tomllib.loads(study_text("demo")), "max_seeds": 10}
"""the shipped demo, with at most the ten seeds that one arm at a time is counted with"""
SPARSE = {**DEMO, "name": "sparse", "model": "resnet8_w16", "sparsities": [0.95, 0.98], "backend": "auto"}
CASES: Mapping[str, Mapping[str, Any]] = {
    "demo, accuracy": DEMO,
    "demo, p_correct": {**DEMO, "metric": "p_correct"},
    "resnet8_w16 at 95 and 98 %, accuracy": SPARSE,
    "resnet8_w16 at 95 and 98 %, p_correct": {**SPARSE, "metric": "p_correct"},
}
EVERY = 5
"""finished trainings between two turns of the official loop"""
STEPS = 8


class GrayImages(PilImages):
    """The official loop's images with one channel: what it does to a colour image, done to a gray one."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels, target = super().__getitem__(index)
        return pixels[:1], target


def official(study: Study) -> OfficialTraining:
    """The official loop on the study's network, images and batch size, in this process."""
    images = data.load(located(study))
    colour = np.ascontiguousarray(images.train_inputs.transpose(0, 2, 3, 1))
    gray = colour.shape[-1] == 1
    recipe = study.recipe
    # PilImages reads colour images; of a gray one the two copies are dropped again, which costs it next to nothing
    pictures = np.repeat(colour, 3, axis=-1) if gray else colour
    kind = GrayImages if gray else PilImages
    network = build(
        study.model, num_classes=images.num_classes, in_channels=colour.shape[-1], image_size=colour.shape[1]
    )
    dataset = kind(pictures, images.train_targets, pad=recipe.pad, flip=recipe.flip)
    return begin(network, dataset, recipe.batch_size, workers=0)


class Interleaved:
    """Turns of the official loop between the steps of a study. ``spent``: their seconds, which are not the study's."""

    def __init__(self, study: Study) -> None:
        self.loop = official(study)
        self.loop.run(2)
        self.per_step: list[float] = []
        self.spent = 0.0
        self._trained = 0

    def __call__(self, step: Step, _seconds: float) -> None:
        self._trained += step.kind in ("pretrain", "train")
        if step.kind in ("pretrain", "train") and self._trained % EVERY == 1:
            begun = time.process_time()
            self.loop.run(STEPS)
            turn = time.process_time() - begun
            self.per_step.append(turn / STEPS)
            self.spent += turn


def steps_alone(study: Study) -> tuple[int, int]:
    """Trainings, and optimiser steps, behind every arm at the largest number of seeds, counted anew for every arm."""
    plan = make_plan(study, largest_seeds(study))
    per_epoch = study.recipe.steps_per_epoch(data.describe(located(study)).n_train)
    trainings = steps = 0
    for arm in plan.arms:
        seen: set[str] = set()
        todo = [arm.train]
        while todo:
            one = plan.steps[todo.pop()]
            if one.key in seen:
                continue
            seen.add(one.key)
            todo += one.inputs.values()
            if one.kind in ("pretrain", "train"):
                last = one.params.get("until", one.params["recipe"]["epochs"])
                trainings += 1
                steps += (last - one.params.get("first", 0)) * per_epoch
    return trainings, steps


def measure(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """One case, from an empty store."""
    torch.set_num_threads(1)
    study = load_study(fields)
    alone, steps = steps_alone(study)
    floor = make_plan(load_study({**fields, "seeds": 3})).trainings
    turns = Interleaved(study)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Store.open(Path(folder) / "store"), Path(folder) / "out")
        begun = time.process_time()
        results = run_study(study, workspace, 1, Progress(), watch=turns)
        seconds = time.process_time() - begun - turns.spent
    judged = [check for check in results.verdict.checks if check.control in (None, "positive")]
    return {
        "case": name,
        "trainings": results.trained,
        "alone": alone,
        "floor": floor,
        "seconds": seconds,
        "official_seconds": steps * statistics.median(turns.per_step),
        "turns": len(turns.per_step),
        "decided": sum(check.verdict in ("DEPENDS", "DOES NOT DEPEND") for check in judged),
        "checks": len(judged),
        "methods": {method.method: method.verdict for method in results.verdict.methods},
        "processor": processor(),
        "torch": torch.__version__,
    }


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return (names or [platform.processor()])[0]


def report(cases: Sequence[Mapping[str, Any]]) -> str:
    heads = ("study", "trainings", "floor", "x floor", "one arm at a time", "fewer")
    heads += ("core seconds", "official loop", "less time", "checks decided")
    lines = [
        (
            case["case"],
            str(case["trainings"]),
            str(case["floor"]),
            f"{case['trainings'] / case['floor']:.2f}",
            str(case["alone"]),
            f"{case['alone'] / case['trainings']:.1f} x",
            f"{case['seconds']:.0f}",
            f"{case['official_seconds']:.0f}",
            f"{case['official_seconds'] / case['seconds']:.1f} x",
            f"{case['decided']} of {case['checks']}",
        )
        for case in cases
    ]
    return markdown(heads, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("case", nargs="*", help="parts of names; all cases when left out")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(arguments)
    done = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    for name, fields in CASES.items():
        wanted = not asked.case or any(part in name for part in asked.case)
        if wanted and name not in {case["case"] for case in done}:
            print(f"… {name}", file=sys.stderr, flush=True)
            done.append(measure(name, fields))
            with asked.out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    print(report(done))
    if done:
        print(f"\n{done[-1]['processor']}, one thread, torch {done[-1]['torch']}")


if __name__ == "__main__":
    main(sys.argv[1:])
