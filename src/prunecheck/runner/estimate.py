"""How long steps take: as timed in this store, or roughly from the size of the network. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prunecheck.models import MODELS, external
from prunecheck.store import Store, Timings
from prunecheck.study.numerics import bfloat16_instructions
from prunecheck.study.step import Step

CPU_OPERATIONS_PER_SECOND = 75e9
"""of dense layers in float32 on one core with AVX2 or more"""
CPU_SECONDS_PER_IMAGE = 25e-6
"""of everything else in one forward pass of one image; most of the time of small networks"""
CPU_SPARSE_GAIN = 2.0
"""how many times as fast the sparse backend is, at the low end of docs/performance.md"""
CPU_BFLOAT16_GAIN, CPU_BFLOAT16_EMULATED = 1.5, 1 / 8
"""the same of bfloat16, with instructions for it and without"""
UNKNOWN_MFLOPS = 500.0
GPU_IMAGES_PER_SECOND = {"resnet32": 44_900.0, "vgg19_bn": 51_200.0, "resnet20_w16": 122_700.0}
"""trained in bfloat16 on one NVIDIA H200, several networks at a time, 32 x 32 pixels: see docs/performance.md"""
GPU_OPERATIONS_PER_SECOND = 30e12
"""of other networks there, about that of the slowest of the table"""
GPU_FLOAT32 = 1.9
"""how much longer the same takes in TF32; float32 proper was not measured"""
ROUGH_SECONDS = {
    "score": 1.0,
    "mask": 0.1,
    "corrupt": 0.1,
    "compare": 0.05,
    "evaluate": 0.3,
    "prune": 60.0,
    "likelihood": 20.0,
}


class Estimate:
    """Seconds of a step on one worker."""

    def __init__(self, store: Store, rough: Mapping[str, float] | None = None) -> None:
        """*rough*: kind of step -> seconds where that kind was not timed, in place of ``ROUGH_SECONDS``."""
        self._known = Timings(store).all_typical()
        self._rough = ROUGH_SECONDS | dict(rough or {})

    def seconds(self, step: Step) -> float:
        known = self._known.get(step.cost_class)
        if known is not None:
            return known * max(step.cost_units, 1.0)
        if step.kind in self._rough and not _learns(step):
            return self._rough[step.kind]
        known_mflops = mflops_of(step)
        mflops = UNKNOWN_MFLOPS if known_mflops is None else known_mflops
        on_device = _seconds_on_gpu if "gpu" in step.params else _seconds_on_cpu
        return step.cost_units * on_device(step, mflops)

    def is_measured(self, steps: Iterable[Step]) -> bool:
        """Whether every training or pruning among *steps* has been timed before."""
        trainings = (step for step in steps if step.kind in ("pretrain", "train", "prune") or _learns(step))
        return all(step.cost_class in self._known for step in trainings)

    def total(self, steps: Iterable[Step]) -> float:
        return sum(self.seconds(step) for step in steps)


def _seconds_on_cpu(step: Step, mflops: float) -> float:
    """Of one forward pass of one image on one core; training an image costs three."""
    seconds = mflops * 1e6 / CPU_OPERATIONS_PER_SECOND + CPU_SECONDS_PER_IMAGE
    is_sparse = "backend" in step.params
    if is_sparse:
        seconds /= CPU_SPARSE_GAIN
    if step.params.get("precision") == "bfloat16":
        # only the storage of the sparse backend is narrow, which needs no instructions for products
        seconds /= CPU_BFLOAT16_GAIN if is_sparse or bfloat16_instructions() else CPU_BFLOAT16_EMULATED
    return seconds


def _seconds_on_gpu(step: Step, mflops: float) -> float:
    """Of one forward pass of one image; training an image costs three."""
    model, _, side = step.cost_class.split("/")[1].partition("@")
    known = GPU_IMAGES_PER_SECOND.get(model) if side == "32" else None
    seconds = mflops * 1e6 / GPU_OPERATIONS_PER_SECOND if known is None else 1 / (3 * known)
    return seconds if step.params.get("precision") == "bfloat16" else seconds * GPU_FLOAT32


def _learns(step: Step) -> bool:
    """Whether the step learns a mask, which takes as long as a training."""
    return "train_loader" in step.params


def mflops_of(step: Step) -> float | None:
    """Millions of operations of one forward pass of one image of a training; None for networks that are not known."""
    model, _, side = step.cost_class.split("/")[1].partition("@")
    entry = MODELS.get(model)
    if entry is not None:
        return entry.mflops_at(int(side))
    # the path of a network's file may have slashes of its own
    return external.mflops_at(model, int(side)) if side.isdigit() else None
