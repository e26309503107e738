"""What can be seen of a language model before the first step, without its weights where that is possible."""

from __future__ import annotations

from prunecheck.models.language import LanguageModel, open_language_model
from prunecheck.pruning.seeds import torch_stream
from prunecheck.study.language_study import LanguageStudy


def check_model(study: LanguageStudy) -> tuple[LanguageModel, int]:
    """The model, on the CPU, and its bytes. Raises ModelError where it cannot be loaded or has nothing to prune."""
    with torch_stream(0, "init"):
        model = open_language_model(study.model_choice, skeleton=True)
    return model, sum(weight.numel() * weight.element_size() for weight in model.module.parameters())
