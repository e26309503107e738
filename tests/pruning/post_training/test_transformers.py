"""Tiny models of transformers with random weights; skipped without the extra ``llm``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from prunecheck.pruning.post_training.blocks import Blocks, capture_inputs
from prunecheck.pruning.post_training.ends import with_ends
from prunecheck.pruning.post_training.layers import not_prunable
from prunecheck.pruning.post_training.walk import prune_blocks
from prunecheck.pruning.registry import POST_TRAINING_METHODS
from tests.pruning.post_training.nets import masks_of

pytestmark = pytest.mark.slow  # transformers imports each model's code on first use


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers")


def gpt2(transformers: Any) -> Any:
    config = transformers.GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=2, n_head=2, use_cache=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.GPT2LMHeadModel(config).eval()


def tokens() -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.randint(40, (1, 24), generator=rng) for _ in range(3)]


def pruned(model: Any, blocks: Blocks, method: str, *, head: bool = False, **how: Any) -> dict[str, Tensor]:
    forwards = [lambda one=one: model(one) for one in tokens()]
    end = ("lm_head", model.lm_head) if head else None
    every, inputs = with_ends(blocks, capture_inputs(blocks, forwards), forwards, head=end)
    return masks_of(list(prune_blocks(every, inputs, POST_TRAINING_METHODS.get(method), 0.5, **how)))


def of_gpt2(model: Any) -> Blocks:
    return [(f"transformer.h.{i}", block) for i, block in enumerate(model.transformer.h)]


def test_wanda_prunes_the_transposed_layers_of_gpt2_by_their_inputs(transformers: Any) -> None:
    model, dense = gpt2(transformers), gpt2(transformers)
    received: list[Tensor] = []
    handle = dense.transformer.h[0].mlp.c_fc.register_forward_pre_hook(lambda _, args: received.append(args[0][0]))
    masks = pruned(model, of_gpt2(model), "wanda")
    with torch.no_grad():
        for one in tokens():
            dense(one)
    handle.remove()
    layers = [f"{part}.weight" for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")]
    assert list(masks) == [f"transformer.h.{i}.{layer}" for i in range(2) for layer in layers]
    weight = dense.transformer.h[0].mlp.c_fc.weight.detach()  # [inputs, outputs]
    scores = weight.abs() * torch.cat(received).norm(dim=0)[:, None]
    expected = torch.zeros_like(scores, dtype=torch.bool).scatter_(0, scores.topk(8, dim=0).indices, True)
    assert torch.equal(masks["transformer.h.0.mlp.c_fc.weight"], expected)
    assert torch.equal(model.transformer.h[0].mlp.c_fc.weight, weight * expected)


@pytest.mark.parametrize("method", ["sparsegpt", "ria"])
def test_patterns_of_gpt2_lie_along_the_inputs_and_the_tied_head_is_pruned_once(transformers: Any, method: str) -> None:
    model = gpt2(transformers)
    masks = pruned(model, of_gpt2(model), method, head=True, pattern="2:4")
    assert len(masks) == 9
    for name, mask in masks.items():
        rows = mask if name == "lm_head.weight" else mask.t()
        assert (rows.reshape(-1, 4).sum(dim=1) == 2).all()
        assert not model.get_parameter(name)[~mask].any()
    assert model.transformer.wte.weight is model.lm_head.weight
    assert torch.isfinite(model(tokens()[0]).logits).all()


def test_experts_in_one_tensor_are_counted_as_not_prunable(transformers: Any) -> None:
    config = transformers.MixtralConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=4,
    )
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    rest = not_prunable([(f"model.layers.{i}", block) for i, block in enumerate(model.model.layers)])
    experts = sum(weight.numel() for name, weight in model.named_parameters() if "expert" in name and weight.ndim == 3)
    assert experts > 0
    assert rest.weights >= experts
    assert "experts" in rest.largest
    assert rest.weights < rest.total
