from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from prunecheck.errors import ModelError
from prunecheck.models.language import ModelChoice, open_language_model, windows
from tests.tiny_lm import TinyLM

HERE = Path(__file__).parents[1]


def choice(name: str = "tiny_lm.py:TinyLM", **fields: object) -> ModelChoice:
    return ModelChoice(name, HERE, **fields)  # type: ignore[arg-type]


def test_every_token_is_predicted_once_by_as_many_as_fit() -> None:
    assert list(windows([1, 2, 3, 4, 5], 0, 3)) == [([0, 1, 2], [1, 2, 3]), ([2, 3, 4], [4, 5])]
    assert list(windows([1, 2], None, 3)) == [([1], [2])]
    for length in range(1, 9):
        for n in range(2, 9):
            found = list(windows(list(range(1, n)), 0, length))
            assert [token for _, predicted in found for token in predicted] == list(range(1, n))
            for read, predicted in found:
                assert len(predicted) <= len(read) <= length
                assert read[-1] == predicted[-1] - 1


@pytest.mark.parametrize(
    ("n", "length", "expected"),
    [
        (7, 3, [([0, 1, 2], [1, 2, 3]), ([3, 4, 5], [4, 5, 6]), ([4, 5, 6], [7])]),
        (6, 3, [([0, 1, 2], [1, 2, 3]), ([3, 4, 5], [4, 5, 6])]),
        (2, 5, [([0, 1], [1, 2])]),
        (9, 4, [([0, 1, 2, 3], [1, 2, 3, 4]), ([4, 5, 6, 7], [5, 6, 7, 8]), ([5, 6, 7, 8], [9])]),
    ],
)
def test_windows_are_those_of_lm_evaluation_harness(
    n: int, length: int, expected: list[tuple[list[int], list[int]]]
) -> None:
    """As lm_eval 0.4.13 gave: get_rolling_token_windows(context_len=1) and make_disjoint_window."""
    assert list(windows(list(range(1, n + 1)), 0, length)) == expected


def test_a_module_of_a_file_reads_bytes_and_names_its_blocks() -> None:
    model = open_language_model(choice())
    assert model.encode("aß") == [97, 195, 159]
    assert [name for name, _ in model.blocks] == ["blocks.0", "blocks.1"]
    assert (model.vocabulary, model.prefix, model.context) == (256, 10, 64)
    assert model.logits(torch.tensor([[1, 2, 3]])).shape == (1, 3, 256)
    assert not model.module.training


def test_weights_are_part_of_the_identity_and_their_place_is_not(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    save_file(TinyLM().state_dict(), tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    torch.manual_seed(2)
    save_file(TinyLM().state_dict(), tmp_path / "c.safetensors")
    one, other = (choice(weights=str(tmp_path / f"{name}.safetensors")).identity() for name in "ac")
    assert one["files"] != other["files"]
    (tmp_path / "there").mkdir()
    (tmp_path / "a.safetensors").rename(tmp_path / "there" / "a.safetensors")
    assert choice(weights=str(tmp_path / "there" / "a.safetensors")).identity() == one


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("resnet20", {}, "a language model is hf:PATH"),
        ("hf:nowhere", {}, "does not exist"),
        ("tiny_lm.py:TinyLM", {"weights": "tiny_ln.py"}, "Did you mean 'tiny_lm.py'"),
    ],
)
def test_what_cannot_be_found_is_refused_without_torch(name: str, fields: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError) as error:
        choice(name, **fields).identity()
    assert message in str(error.value)


def test_another_list_of_blocks_must_exist() -> None:
    with pytest.raises(ModelError, match=r"the model has no such list\. It has: blocks"):
        open_language_model(choice(blocks="layers"))


def test_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    words = {"<s>": 0, "[UNK]": 1} | {f"w{i}": i + 2 for i in range(60)}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>").save_pretrained(tmp_path)
    found = open_language_model(ModelChoice(f"hf:{tmp_path}", tmp_path))
    assert found.encode("w3 w5") == [5, 7]
    assert (found.prefix, found.vocabulary, len(found.blocks)) == (0, 62, 2)
    logits = found.logits(torch.tensor([[0, 5, 7]]))
    assert logits.shape == (1, 3, 64)
    assert math.isfinite(float(logits.sum()))
    skeleton = open_language_model(ModelChoice(f"hf:{tmp_path}", tmp_path), skeleton=True)
    assert all(weight.is_meta for weight in skeleton.module.parameters())
