"""Step `score`: the scores of a method; one score serves every sparsity."""

from __future__ import annotations

from prunecheck import tensors
from prunecheck.pruning import METHODS
from prunecheck.pruning.run_method import NEEDS_BATCHES, run_method
from prunecheck.steps.context import (
    Context,
    as_json,
    epochs_learning,
    scoring_batches,
    task_of,
    train_loader,
    weights_and_model,
)
from prunecheck.study.step import Step


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``scores`` (higher = keep; pruned weights of an earlier round score lowest) and ``result.json``
    with ``samples`` (images scored on) and, from a method that learns its masks, ``mask_epochs``."""
    params = step.params
    method = METHODS.get(params["method"]["name"])
    masks = context.tree(step.inputs["previous"], "masks") if "previous" in step.inputs else None
    batches = scoring_batches(context, params) if NEEDS_BATCHES & set(method.asks) else []
    loader = train_loader(context, params, method)
    scores = run_method(
        method,
        weights_and_model(context, params, step.inputs),
        batches,
        task_of(params),
        masks=masks,
        sparsity=params.get("sparsity", 0.0),
        options=params["method"]["options"],
        seed=params["seed"],
        label=params["label"],
        input_shape=context.input_shape(params),
        preset=params.get("preset"),
        train_loader=loader,
        also=params.get("also_prune", ()),
    )
    # epochs of earlier rounds reach the mask by its input "previous"
    results = {"samples": sum(len(targets) for _, targets in batches)} | epochs_learning(context, {}, loader)
    return {"scores.safetensors": tensors.to_bytes(scores), "result.json": as_json(results)}
