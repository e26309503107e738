"""Which weights stay."""

from __future__ import annotations

from prunecheck import tensors
from prunecheck.pruning import ALLOCATIONS, METHODS
from prunecheck.pruning.layers import family_of
from prunecheck.pruning.masks import Selection
from prunecheck.steps.context import Context, as_json, layers_for
from prunecheck.steps.mask_facts import mask_facts
from prunecheck.steps.scored import NEEDS_BATCHES, asked, scoring_batches, task_of, weights_and_model
from prunecheck.steps.select import counts_ahead, select
from prunecheck.study.step import Step


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``masks`` (bool, True = keep) and ``result.json`` with the counts, ties, empty layers and how many
    kept weights lie on a path from input to output."""
    params = step.params
    method = METHODS.get(params["method"]["name"])
    allocation = ALLOCATIONS.get(params["allocate"]["name"])
    shape = tuple(params["shape"])
    layers = layers_for(params["model"], shape)
    family, preset = family_of(params["model"]), params.get("preset")
    options = params["allocate"]["options"]
    given = (
        {name: kept for name, _, _, kept in context.result(step.inputs["counts"])["layers"]}
        if "counts" in step.inputs
        else None
    )
    previous = context.tree(step.inputs["previous"], "masks") if "previous" in step.inputs else None
    if method.gives == "scores":
        scores = context.tree(step.inputs["scores"], "scores")
        chosen = select(
            allocation,
            layers,
            scores,
            params["sparsity"],
            method=method.name,
            family=family,
            options=options,
            given=given,
            preset=preset,
            previous=previous,
        )
    else:
        counts = counts_ahead(
            method, allocation, layers, params["sparsity"], family=family, options=options, given=given, preset=preset
        )
        masks = asked(
            method,
            weights_and_model(context, params, step.inputs),
            scoring_batches(context, params) if NEEDS_BATCHES & set(method.asks) else [],
            task_of(params),
            masks=previous,
            counts=counts,
            sparsity=params["sparsity"],
            options=params["method"]["options"],
            seed=params["seed"],
            label=params["label"],
            input_shape=context.input_shape(params),
            preset=params.get("preset"),
        )
        chosen = Selection(masks, 0)
    facts = mask_facts(chosen.masks, layers, params["model"], shape) | {"tied": chosen.tied}
    return {"masks.safetensors": tensors.to_bytes(chosen.masks), "result.json": as_json(facts)}
