"""Training on one GPU: images a second of the official loop, of steps called one by one, compiled by torch.compile and
recorded; equal bits; and a whole trial.

The tables are also written to ``gpu-benchmark.md`` in the working directory. At most six minutes on one card.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.table import markdown
from benchmarks.turns import Regime, made_up, network

if TYPE_CHECKING:
    from torch import nn

    from prunecheck.training.loop import Training
    from prunecheck.training.recorded import Gpu

Prepare = Callable[["nn.Module"], None]

OUT = Path("gpu-benchmark.md")
NETWORKS = (
    Regime("resnet32", 32, 64, 20, 0),
    Regime("vgg19_bn", 32, 64, 20, 0),
    Regime("resnet20_w16", 32, 128, 20, 0),
)
QUICK = (Regime("convnet_w32", 16, 16, 2, 0),)
OFFICIAL_LOADERS = 4
SPARSITY = 0.98
TRIAL_SECONDS = 240.0
TRIAL_EPOCHS, TRIAL_IMAGES, TEST_IMAGES = 8, 50_000, 10_000
TRIAL = f"""
name = "gpu-benchmark"
model = "resnet20_w16"
data = "cifar10"
methods = ["snip", "random_ticket"]
checks = ["corrupted_data", "layerwise_rearrange"]
sparsities = [0.95]
seeds = 8
controls = []
device = "cuda"

[training]
epochs = {TRIAL_EPOCHS}
batch_size = 128
schedule = "linear"
warmup = 1.0
lr = 0.2
nesterov = true
weight_decay = 5e-4
rewind_epoch = 0
"""


def report(quick: bool, say: Callable[[str], None]) -> str:
    import torch

    if not torch.cuda.is_available():
        return "torch sees no GPU here: nothing was measured."
    from prunecheck.training.cuda import CudaGpu

    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.deterministic = True
    gpu, networks = CudaGpu(), QUICK if quick else NETWORKS
    parts = [
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}",
        rates(networks, gpu, "cuda", (1, 4) if quick else (1, 4, 8), say),
        evaluation_share(networks, gpu, "cuda", 1 if quick else 8),
        equal_bits(networks[-1], gpu, "cuda", (1, 4, 8)),
    ]
    if not quick:
        say("gpu: a trial on CIFAR-10")
        parts.append(trial())
    text = "\n\n".join(parts)
    OUT.write_text(text + "\n", encoding="utf-8")
    return f"{text}\n\nWritten to {OUT}."


def rates(
    networks: tuple[Regime, ...],
    gpu: Gpu,
    device: str,
    counts: tuple[int, ...],
    say: Callable[[str], None],
    compile_: Prepare = lambda model: model.compile(),
) -> str:
    """Images a second of all tickets together. *compile_* prepares a network for the column of torch.compile."""
    head = ["network", "official loop", "one by one, bfloat16", "torch.compile, bfloat16", "1 recorded, TF32"]
    head += [f"{k} recorded, bfloat16" for k in counts]
    rows = []
    for regime in networks:
        say(f"gpu: {regime.title}")
        cells = [official_rate(regime, device), one_by_one_rate(regime, device)]
        cells += [one_by_one_rate(regime, device, compile_), recorded_rate(regime, gpu, device, 1, "tf32")]
        cells += [recorded_rate(regime, gpu, device, k, "bfloat16") for k in counts]
        rows.append([regime.title, *(f"{cell:,.0f}" for cell in cells)])
    return markdown(head, rows)


def official_rate(regime: Regime, device: str) -> float:
    """A port of the official loop, in float32 as it is written there, with images prepared by loading processes."""
    from benchmarks.official_loop import PilImages, begin

    model = network(regime).to(device)
    training = begin(model, PilImages(*made_up(regime, 2000)), regime.batch, OFFICIAL_LOADERS, device)
    training.run(3)
    begun = time.perf_counter()
    training.run(regime.steps)  # reads its loss in every step, so that the GPU is done at the end
    return regime.batch * regime.steps / (time.perf_counter() - begun)


def one_by_one_rate(regime: Regime, device: str, prepare: Prepare = lambda _: None) -> float:
    from prunecheck.training.loop import train_all
    from prunecheck.training.recorded import one_by_one

    training, ends = ticket(regime, 0, device, epochs=2), []
    training.after_epoch = lambda _: ends.append(time.perf_counter())
    prepare(training.state.model)
    list(train_all([training], one_by_one))  # the first epoch loads or compiles kernels
    return regime.batch * regime.steps / (ends[1] - ends[0])


def recorded_rate(regime: Regime, gpu: Gpu, device: str, count: int, precision: str) -> float:
    import torch

    from prunecheck.training.recorded import Recorder

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    trainings, recorder = [ticket(regime, seed, device, precision) for seed in range(count)], Recorder(gpu)
    recorder.prepare(trainings)
    seconds = recorder.seconds(trainings, most=regime.steps)
    recorder.release()
    return count * regime.batch / seconds


def evaluation_share(
    networks: tuple[Regime, ...], gpu: Gpu, device: str, count: int, test_images: int = TEST_IMAGES
) -> str:
    """The time of an epoch's evaluation, which is not recorded, beside that of its training among *count* tickets."""
    import torch

    from prunecheck.pruning.task import task_named
    from prunecheck.training.evaluate import evaluate
    from prunecheck.training.feed import Feed

    rows = []
    for regime in networks:
        images, targets = made_up(regime, test_images)
        inputs, labels = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(targets)
        feed = Feed(inputs, labels, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), device=device)
        model, task = ticket(regime, 0, device).state.model, task_named("classification")
        evaluate(model, feed, task, "bfloat16")  # the first call loads kernels
        begun = time.perf_counter()
        evaluate(model, feed, task, "bfloat16")  # reads a number at its end, so that the GPU is done
        seconds = time.perf_counter() - begun
        training = TRIAL_IMAGES / recorded_rate(regime, gpu, device, count, "bfloat16")
        rows.append([regime.title, f"{seconds:.3g}", f"{training:.3g}", f"{seconds / (seconds + training):.0%}"])
    return markdown(["network", f"evaluating {test_images} images, s", "training an epoch, s", "share"], rows)


def equal_bits(regime: Regime, gpu: Gpu, device: str, counts: tuple[int, ...]) -> str:
    """Whether tickets trained together have the bits of steps called one by one."""
    from prunecheck import tensors
    from prunecheck.training.loop import train_all
    from prunecheck.training.recorded import Recorder, one_by_one

    def weights(together: int | None) -> list[str]:
        trainings = [ticket(regime, seed, device) for seed in range(max(counts))]
        size = together or 1
        for start in range(0, len(trainings), size):
            run_epoch = Recorder(gpu) if together else one_by_one
            list(train_all(trainings[start : start + size], run_epoch))
        return [tensors.fingerprint(one.state.model.state_dict()) for one in trainings]

    wanted = weights(None)
    rows = [
        [str(k), f"{sum(a == b for a, b in zip(weights(k), wanted, strict=True))} of {len(wanted)}"] for k in counts
    ]
    return markdown(["tickets together", "with the bits of steps called one by one"], rows)


def ticket(regime: Regime, seed: int, device: str, precision: str = "bfloat16", epochs: int = 1) -> Training:
    """Epochs of a random ticket on made-up images."""
    import torch

    from prunecheck import random_ticket
    from prunecheck.pruning.task import task_named
    from prunecheck.training.feed import Feed
    from prunecheck.training.loop import Training, start
    from prunecheck.training.recipe import Recipe

    images, targets = made_up(regime, regime.batch * regime.steps)
    inputs, labels = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(targets)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    feed = Feed(inputs, labels, mean, std, pad=4, device=device)
    judged = Feed(inputs[:2], labels[:2], mean, std, device=device)
    model = network(regime)
    masks = random_ticket(model, SPARSITY, seed=seed)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = Recipe(epochs=epochs, batch_size=regime.batch, lr=0.0625)
    how = {"seed": seed, "phase": "benchmark", "first": 0, "last": epochs, "precision": precision}
    return Training(start(model, recipe), feed, judged, recipe, task_named("classification"), masks, **how)  # type: ignore[arg-type]


def trial() -> str:
    """A study by the ordinary command line; CIFAR-10 must be where the command finds it ($PRUNECHECK_DATA)."""
    with TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        study.write_text(TRIAL, encoding="utf-8")
        command = [sys.executable, "-m", "prunecheck", "run", str(study), "--store", f"{folder}/store", "--out", folder]
        begun = time.perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_SECONDS)
        except subprocess.TimeoutExpired:
            return f"The trial was stopped after {TRIAL_SECONDS:.0f} s."
        seconds = time.perf_counter() - begun
        results = Path(folder) / "results.csv"
        if not results.exists():
            return f"The trial failed: {done.stderr.strip()[-300:]}"
        with results.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    images = len(rows) * TRIAL_EPOCHS * TRIAL_IMAGES
    return (
        f"A trial of SNIP on CIFAR-10 by `prunecheck run`: {len(rows)} networks of {TRIAL_EPOCHS} epochs in "
        f"{seconds:.0f} s from start to page, {images / seconds:,.0f} images a second with everything else included."
    )
