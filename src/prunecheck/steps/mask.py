"""Step `mask`: the kept weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from prunecheck import tensors
from prunecheck.pruning import ALLOCATIONS, METHODS
from prunecheck.pruning.connectivity import connected_weights, dead_units
from prunecheck.pruning.layers import family_of, layers_of, total
from prunecheck.pruning.masks import Selection, counts_of
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.run_method import NEEDS_BATCHES, run_method
from prunecheck.pruning.savings import in_words, savings_of
from prunecheck.pruning.select import counts_ahead, select
from prunecheck.pruning.structure import patterns_of
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
    """Artefact: ``masks`` (bool, True = keep) and ``result.json`` with the counts, ties, empty layers, how many
    kept weights lie on a path from input to output and, where the study asks for one, the pattern of each layer, where
    masks are learned, the ``mask_epochs`` of all rounds."""
    params = step.params
    if "trained" in step.inputs:
        return _of_training(step, context)
    method = METHODS.get(params["method"]["name"])
    allocation = ALLOCATIONS.get(params["allocate"]["name"])
    shape = tuple(params["shape"])
    model = context.skeleton(params, shape)
    also = params.get("also_prune", ())
    layers = layers_of(model, also)
    family, preset, pattern = family_of(params["model"]), params.get("preset"), params.get("pattern")
    options = params["allocate"]["options"]
    given = (
        {name: kept for name, _, _, kept in context.result(step.inputs["counts"])["layers"]}
        if "counts" in step.inputs
        else None
    )
    previous = context.tree(step.inputs["previous"], "masks") if "previous" in step.inputs else None
    loader = None
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
            pattern=pattern,
        )
    else:
        how: dict[str, Any] = {"family": family, "options": options, "given": given, "preset": preset}
        counts = counts_ahead(method, allocation, layers, params["sparsity"], pattern=pattern, **how)
        loader = train_loader(context, params, method)
        masks = run_method(
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
            pattern=pattern,
            train_loader=loader,
            also=also,
        )
        chosen = Selection(masks, 0)
    results = mask_results(chosen.masks, model, (shape[1], shape[2], shape[2]), also) | {"tied": chosen.tied}
    results |= epochs_learning(context, step.inputs, loader)
    if pattern is not None:
        results["patterns"] = patterns_of(chosen.masks, parse_pattern(pattern))
        results["saves"] = in_words(layers, savings_of(layers, chosen.masks))
    return {"masks.safetensors": tensors.to_bytes(chosen.masks), "result.json": as_json(results)}


def _of_training(step: Step, context: Context) -> dict[str, bytes]:
    """The mask at the end of a training that changed it."""
    classes, channels, side = step.params["shape"]
    masks = context.tree(step.inputs["trained"], "final_masks")
    skeleton = context.skeleton(step.params, (classes, channels, side))
    results = mask_results(masks, skeleton, (channels, side, side), step.params.get("also_prune", ()))
    return {"masks.safetensors": tensors.to_bytes(masks), "result.json": as_json(results)}


def mask_results(
    masks: Mapping[str, Tensor], model: nn.Module, image: tuple[int, ...], also: Collection[str] = ()
) -> dict[str, Any]:
    """Properties of a mask before training. ``image``: (channels, height, width) of an input.

    ``layers``: (name, kind, shape, kept) in module order; ``kept`` of ``weights``; ``empty_layers`` (collapse);
    ``dead_units`` (outputs of a layer with no connected weight); ``effective_kept``: weights on a path from input to
    output (None where the network's operations do not allow to tell).
    """
    counts = counts_of(masks)
    connected, layers = connected_weights(model, masks, image), layers_of(model, also)
    return {
        "layers": [[layer.name, layer.kind, list(layer.shape), counts[layer.name]] for layer in layers],
        "kept": sum(counts.values()),
        "weights": total(layers),
        "empty_layers": [name for name, kept in counts.items() if kept == 0],
        "effective_kept": None if connected is None else sum(counts_of(connected).values()),
        "dead_units": None if connected is None else dead_units(connected),
    }
