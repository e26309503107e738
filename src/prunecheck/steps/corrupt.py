"""Step `corrupt`: applies a check to scores, masks or starting weights."""

from __future__ import annotations

from typing import Any

from prunecheck import tensors
from prunecheck.pruning import CHECKS
from prunecheck.pruning.layers import layers_of, weights_of
from prunecheck.pruning.partial import apply_check
from prunecheck.pruning.patterns import RECOGNISED, parse_pattern
from prunecheck.pruning.savings import in_words, savings_of
from prunecheck.pruning.seeds import stream, torch_stream
from prunecheck.pruning.structure import patterns_of
from prunecheck.steps.context import Context, as_json, epochs_learning
from prunecheck.steps.mask import mask_results
from prunecheck.study.step import Step


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: the corrupted value (``scores``, ``masks``, or for weights the whole ``start`` state) and
    ``result.json``, for a structured mask with the pattern that the check kept in each layer
    and what the clean mask saves."""
    params = step.params
    check = CHECKS.get(params["check"]["name"])
    at = params["check"]["at"]
    skeleton = context.skeleton(params)
    also = params.get("also_prune", ())
    layers = layers_of(skeleton, also)
    offer: dict[str, Any] = {
        "layers": layers,
        "classes": context.images(params).num_classes,
        "rng": stream(params["seed"], "check", params["check"]["label"], at, *params["purpose"]),
    }
    state: tensors.Tree = {}
    source = "scores" if at == "scores" else "masks"
    found = context.tree(step.inputs[source], source)
    offer[source] = {layer.name: found[layer.name] for layer in layers}
    patterns: dict[str, str | None] = {}
    if "patterns" in check.asks:
        patterns = _patterns(offer["masks"], params.get("pattern"))
        offer["patterns"] = patterns
    if at == "weights":
        model = context.model(params)
        if "start" in step.inputs:
            model.load_state_dict(context.tree(step.inputs["start"], params["file"]))
        state = tensors.clone(model.state_dict())
        offer["weights"] = {n: w * offer["masks"][n].to(w.device) for n, w in weights_of(model, layers).items()}
    if "initial" in check.asks:
        with torch_stream(params["seed"], "check", params["check"]["label"], "initial"):
            offer["initial"] = weights_of(context.build(params), layers)
    dose, rng = (
        params["check"].get("dose"),
        stream(params["seed"], "dose", params["check"]["label"], *params["purpose"]),
    )
    answer = apply_check(check, offer, params["check"]["options"], dose, rng, layers)
    results: dict[str, Any] = epochs_learning(context, step.inputs) if at in ("scores", "masks") else {}
    if at == "masks":
        results |= mask_results(answer, skeleton, context.input_shape(params), also)
        if any(patterns.values()):
            results["patterns"] = patterns
            results["saves"] = in_words(layers, savings_of(layers, offer["masks"]))
    if at == "weights":
        answer, at = state | answer, "start"
    return {f"{at}.safetensors": tensors.to_bytes(answer), "result.json": as_json(results)}


def _patterns(masks: tensors.Tree, pattern: str | None) -> dict[str, str | None]:
    """Of every layer. Where the step names no pattern, the method scores single weights and forms none."""
    if pattern is None:
        return dict.fromkeys(masks)
    return patterns_of(masks, None if pattern == RECOGNISED else parse_pattern(pattern))
