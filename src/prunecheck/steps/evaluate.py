"""How sure a trained network is of the right answers: metrics with less noise than accuracy.

A step of its own, after the training, so that a training's key and bytes do not depend on what is measured of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prunecheck.steps.context import Context, as_json
from prunecheck.study.step import Step
from prunecheck.training.evaluate import computing_in


@torch.inference_mode()
def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``result.json`` with the mean of every metric over the test set; higher = better.

    ``p_correct``: the probability of the right class, in [0, 1]. ``brier``: 1 minus the squared distance of the class
    probabilities from the truth (Brier 1950), in [-1, 1], which is strictly proper. Equal probabilities give 1 over
    the number of classes for both, as guessing does for accuracy, so that one margin rule serves all three. A network
    whose outputs are not finite is given equal probabilities.
    """
    params = step.params
    feed = context.test_feed(params)
    model = context.model(params)
    model.load_state_dict(context.tree(step.inputs["weights"], "final"))
    model.eval()
    p_correct = brier = 0.0
    for inputs, targets in feed.plain():
        with computing_in(params.get("precision", "float32"), inputs):
            outputs = model(inputs)
        right, distance = probability_scores(outputs, targets)
        p_correct += float(right.sum())
        brier += float((1 - distance).sum())
    samples = feed.samples
    return {"result.json": as_json({"p_correct": p_correct / samples, "brier": brier / samples, "n_test": samples})}


def probability_scores(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of the right class, and squared distance of all probabilities from the truth (in [0, 2]): [N] each.

    *outputs*: logits [N, C]; *targets*: int64 [N].
    """
    # in float64 on the CPU: MPS has none, and sums over a test set should not depend on the device's reduction order
    probabilities = torch.softmax(outputs.cpu().double(), dim=1)
    probabilities = torch.where(torch.isfinite(probabilities), probabilities, 1 / outputs.shape[1])
    right = probabilities.gather(1, targets.cpu()[:, None])[:, 0]
    return right, (probabilities**2).sum(dim=1) - 2 * right + 1
