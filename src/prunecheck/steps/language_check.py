"""What can be seen of a language model before the first step, without its weights where that is possible."""

from __future__ import annotations

from prunecheck.errors import ModelError, StudyError
from prunecheck.models.language import LanguageModel, open_language_model
from prunecheck.models.vocabulary_layers import chosen_vocabulary_layers
from prunecheck.pruning.post_training.ends import why_not_embedding
from prunecheck.pruning.post_training.layers import is_prunable, not_prunable
from prunecheck.pruning.seeds import torch_stream
from prunecheck.study.language_arms import prunings
from prunecheck.study.language_study import LanguageStudy


def check_model(study: LanguageStudy) -> tuple[LanguageModel, int]:
    """The model, on the CPU, and its bytes. Raises ModelError where it cannot be loaded or has nothing to prune, and
    StudyError where a method cannot prune its embedding."""
    with torch_stream(0, "init"):
        model = open_language_model(study.model_choice, skeleton=True)
    _validate_layers(model)
    embedding, _ = chosen_vocabulary_layers(model, study.also_prune)
    for i, method in enumerate(prunings(study)):
        if embedding is not None and (why := why_not_embedding(method.plugin)):
            raise StudyError(f"methods[{i}] with also_prune = {list(study.also_prune)}: {why}")
    return model, sum(weight.numel() * weight.element_size() for weight in model.module.parameters())


def _validate_layers(model: LanguageModel) -> None:
    for name, block in model.blocks:
        if any(is_prunable(one) for one in block.modules()):
            continue
        rest = not_prunable([(name, block)])
        held = f" Its weights are in other tensors, such as {rest.largest}." if rest.largest else ""
        raise ModelError(
            f"decoder block {name} of {type(model.module).__name__} has no layer that can be pruned (nn.Linear, or "
            f"Conv1D of transformers).{held}"
        )
