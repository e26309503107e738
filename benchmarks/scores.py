"""What a score costs, in training steps on as many images: SNIP, GraSP and a few rounds of SynFlow, on one core."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import pairs
from benchmarks.resident import extra_mib
from benchmarks.table import Row, ratio_table
from benchmarks.turns import Regime, made_up, network

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORKS = (Regime("resnet32", 32, 100, 1, 60), Regime("vgg19_bn", 32, 100, 1, 75))
QUICK = (Regime("convnet_w32", 8, 20, 1, 0),)
SYNFLOW_ROUNDS = 3

LEGEND = (
    "One training step is forward, backward and SGD on as many images as are scored (10 of each of 10 classes). SNIP "
    "is one gradient, so 1 is its floor. GraSP takes the gradient of a gradient. SynFlow sees no data; a score has 100 "
    "rounds, on one image of ones in float64."
)


def report(quick: bool, say: Callable[[str], None]) -> str:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows, notes = [], []
    try:
        for regime in QUICK if quick else NETWORKS:
            say(f"scores: {regime.title}")
            works = works_of(regime)
            for work in works.values():
                work()  # what is loaded on first use is not counted
            rounds = pairs.take_turns({name: pairs.timed(work) for name, work in works.items()}, regime.seconds)
            memory = ", ".join(f"{name} {extra_mib(work):.0f}" for name, work in works.items())
            notes.append(f"- {regime.title}: extra MiB at the highest moment: {memory}")
            rows += [_row(regime, rounds, name) for name in works if name != "step"]
    finally:
        torch.set_num_threads(threads)
    return f"{ratio_table(rows)}\n\n{LEGEND}\n" + "\n".join(notes)


def _row(regime: Regime, rounds: list[pairs.Round], name: str) -> Row:
    found = pairs.ratio(rounds, slow=name, fast="step")
    floor, target = (1.0, 1.1) if name == "snip" else (None, None)
    return Row(f"{regime.model}: {name} / training step", found, floor, target, at_most=True)


def works_of(regime: Regime) -> dict[str, Callable[[], object]]:
    """A training step and the three scores, on the same network and images."""
    import torch

    from prunecheck.pruning.layers import weights_of
    from prunecheck.pruning.methods.gradient import snip
    from prunecheck.pruning.methods.grasp import grasp
    from prunecheck.pruning.methods.synflow import synflow
    from prunecheck.pruning.scoring_inputs import ScoringLoss, scoring_copy
    from prunecheck.pruning.task import task_named

    images, labels = made_up(regime, regime.batch)
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    targets, task = torch.from_numpy(labels), task_named("classification")
    net = network(regime).to(memory_format=torch.channels_last)
    weights = {name: weight.contiguous() for name, weight in weights_of(net).items()}
    loss = ScoringLoss(scoring_copy(net), [(inputs, targets)], task)

    def one_round() -> None:
        shape = (inputs.shape[1], regime.side, regime.side)
        synflow(net, weights, shape, 0.98, prune_rounds=SYNFLOW_ROUNDS)

    return {
        "step": partial(step, net, inputs, targets),
        "snip": lambda: snip(weights, loss),
        "grasp": lambda: grasp(weights, loss),
        f"synflow, {SYNFLOW_ROUNDS} rounds": one_round,
    }


def step(net: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """One training step; a rate of 0 leaves the weights where they are, so that all turns are alike."""
    import torch

    optimiser = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9)
    torch.autograd.backward(torch.nn.functional.cross_entropy(net(inputs), targets))
    optimiser.step()
    optimiser.zero_grad()
