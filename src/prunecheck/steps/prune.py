"""Step `prune`: a language model pruned block by block, and how well it then predicts the documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from prunecheck import tensors
from prunecheck.models.language import LanguageModel
from prunecheck.models.vocabulary_layers import chosen_vocabulary_layers
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.post_training.blocks import BlockInputs, Blocks, capture_inputs
from prunecheck.pruning.post_training.ends import with_ends
from prunecheck.pruning.post_training.layers import not_prunable
from prunecheck.pruning.post_training.walk import corrupt_tokens, prune_blocks
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from prunecheck.pruning.seeds import number, stream
from prunecheck.steps.context import PACKED, Context, Params, as_json, packed
from prunecheck.steps.documents import (
    calibration_documents,
    draw,
    evaluation_documents,
    other_documents,
    share_of_text,
    tokens_of,
)
from prunecheck.steps.likelihood import likelihoods
from prunecheck.study.language_arms import AA
from prunecheck.study.step import Step


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``packed_masks`` (one bit a weight) and ``result.json`` with the counts of the mask as in a mask step,
    ``tied`` weights, ``documents``: the likelihood of every one under the pruned model, and ``left_dense`` where the
    blocks hold weights that no method prunes.

    Memory: the model, the masks and the inputs of one block for all calibration sequences.
    """
    params = step.params
    model = context.language_model(params)
    method, sparsity = params["method"], params["sparsity"]
    check = params.get("check")
    blocks, inputs, share = _inputs(model, context, params)
    corrupts = check if check is not None and check["name"] != AA and check["at"] != "tokens" else None
    masks: dict[str, Tensor] = {}
    tied = 0
    for block in prune_blocks(
        blocks,
        inputs,
        POST_TRAINING_METHODS.get(method["name"]),
        sparsity,
        options=method["options"],
        granularity=method.get("granularity"),
        pattern=method.get("pattern"),
        ratios=method.get("ratios", "uniform"),
        ratio_options=method.get("ratio_options", {}),
        check=POST_TRAINING_CHECKS.get(corrupts["name"]) if corrupts else None,
        check_options=corrupts["options"] if corrupts else {},
        seed=_seed(params),
    ):
        masks |= {name: mask.cpu() for name, mask in block.masks.items()}
        tied += block.tied
    how = params["evaluation"]
    found = likelihoods(model, evaluation_documents(context, params), how["window"], how["tokens"], params["device"])
    results = {**_mask_results(masks), "tied": tied, "documents": found}
    if share is not None:
        results["share_of_text"] = share
    rest = not_prunable(model.blocks)
    if rest.weights:
        results["left_dense"] = asdict(rest)
    bits = {name: packed(mask) for name, mask in masks.items()}
    return {f"{PACKED}.safetensors": tensors.to_bytes(bits), "result.json": as_json(results)}


def _seed(params: Params) -> int:
    """The draw's seed; for the A/A control that of another draw, which no study's own seeds can be."""
    seed = params.get("seed", 0)
    return number(seed, AA) if params.get("check", {}).get("name") == AA else int(seed)


def _inputs(model: LanguageModel, context: Context, params: Params) -> tuple[Blocks, list[BlockInputs], float | None]:
    """The blocks, what they receive on the calibration sequences (nothing, for a method that reads no text), and the
    share of the text that a draw takes."""
    embedding, head = chosen_vocabulary_layers(model, tuple(params.get("also_prune", ())))
    if "calibration" not in params:
        return *with_ends(model.blocks, [], [], embedding=embedding, head=head), None
    how, seed = params["calibration"], _seed(params)
    streams = tokens_of(model, calibration_documents(context, params))
    tokens = torch.from_numpy(draw(streams, how["sequences"], how["length"], model.prefix, stream(seed, "calibration")))
    check = params.get("check")
    if check is not None and check.get("at") == "tokens":
        plugin, other = POST_TRAINING_CHECKS.get(check["name"]), None
        if "other_text" in params:
            others = tokens_of(model, other_documents(context, params))
            rng = stream(seed, "other text")
            other = torch.from_numpy(draw(others, how["sequences"], how["length"], model.prefix, rng))
        own: dict[str, Any] = {"vocabulary": model.vocabulary, "other": other, "options": check["options"]}
        tokens = corrupt_tokens(plugin, tokens, **own, seed=seed)
    forwards = [_forward(model, one.to(params["device"])) for one in tokens]
    captured = capture_inputs(model.blocks, forwards)
    blocks, inputs = with_ends(model.blocks, captured, forwards, embedding=embedding, head=head)
    return blocks, inputs, share_of_text(streams, how["sequences"], how["length"])


def _forward(model: LanguageModel, sequence: Tensor) -> Callable[[], object]:
    return lambda: model.module(sequence[None])


def _mask_results(masks: dict[str, Tensor]) -> dict[str, Any]:
    """``layers``: (name, kind, shape, kept) in order; ``kept`` of ``weights``; layers that keep nothing."""
    counts = counts_of(masks)
    return {
        "layers": [[name, "linear", list(mask.shape), counts[name]] for name, mask in masks.items()],
        "kept": sum(counts.values()),
        "weights": sum(mask.numel() for mask in masks.values()),
        "empty_layers": [name for name, kept in counts.items() if kept == 0],
        "effective_kept": None,
        "dead_units": None,
    }
