from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from prunecheck.errors import ModelError
from prunecheck.models.language import LanguageModel, ModelChoice, open_language_model
from prunecheck.models.vocabulary_layers import chosen_vocabulary_layers

HERE = Path(__file__).parents[1]


def tiny() -> LanguageModel:
    return open_language_model(ModelChoice("tiny_lm.py:TinyLM", HERE))


def names(model: LanguageModel, *also_prune: str) -> tuple[str | None, ...]:
    return tuple(found and found[0] for found in chosen_vocabulary_layers(model, also_prune))


def test_embedding_and_head_are_found_by_their_rows() -> None:
    assert names(tiny()) == (None, None)
    assert names(tiny(), "head") == (None, "head")
    assert names(tiny(), "head", "embedding") == ("embedding", "head")


def test_a_tensor_that_is_embedding_and_head_is_pruned_once_and_only_if_both_are_named() -> None:
    model = tiny()
    model.module.head.weight = model.module.embedding.weight  # type: ignore[union-attr, assignment]
    assert names(model, "embedding", "head") == (None, "head")
    for one in ("embedding", "head"):
        with pytest.raises(ModelError, match=r"are one tensor.*also_prune = \[\"embedding\", \"head\"\]"):
            names(model, one)


def test_several_or_no_candidates_are_refused_by_name() -> None:
    model = tiny()
    model.module.other = nn.Embedding(256, 4)
    with pytest.raises(ModelError, match="has several that could be it: embedding, other"):
        names(model, "embedding")
    model.module.head = nn.Identity()
    with pytest.raises(ModelError, match=r"as one nn\.Linear outside .* with 256 rows, and TinyLM has none"):
        names(model, "head")


@pytest.mark.parametrize("tied", [True, False])
def test_models_of_transformers_say_which_layers_these_are(tied: bool) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=tied,
    )
    for device in ("cpu", "meta"):
        with torch.device(device):
            module = transformers.AutoModelForCausalLM.from_config(config)
        # fewer tokens than rows, as in models whose rows are padded
        model = LanguageModel(module, list, 62, 0, None, tuple(module.model.layers.named_children()))
        expected = (None, "lm_head") if tied else ("model.embed_tokens", "lm_head")
        assert names(model, "embedding", "head") == expected
        if tied:
            with pytest.raises(ModelError, match="are one tensor"):
                names(model, "head")


def test_a_head_without_a_row_for_each_token_is_no_head() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = nn.ModuleList([nn.Linear(8, 256)]), nn.Linear(8, 255)

        def forward(self, tokens: Tensor) -> Tensor:
            return tokens

    module = Wrapped()
    model = LanguageModel(module, list, 256, 0, None, tuple(module.layers.named_children()))
    with pytest.raises(ModelError, match="has none"):
        names(model, "head")
