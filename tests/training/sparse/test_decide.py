"""The fixed rule."""

from __future__ import annotations

from prunecheck.training.sparse.decide import FLOAT32, Layer, rates_of, worth_it


def layer(kept: int) -> Layer:
    return Layer("conv", outputs=10, taps=90, pixels=64, kept=kept)


def test_a_layer_is_sparse_where_few_weights_are_left() -> None:
    assert [layer(kept).is_sparse for kept in (0, 90, 400, 600, 900)] == [True, True, True, False, False]
    assert "90 of 900 weights" in layer(90).why


def test_the_whole_network_must_gain_enough() -> None:
    assert worth_it([layer(90), layer(900)])
    assert not worth_it([layer(400), layer(900), layer(900)])
    assert not worth_it([layer(900)])


def test_in_bfloat16_the_processor_s_instructions_decide_where_a_layer_is_dense() -> None:
    def sparse_up_to(precision: str, instructions: list[str]) -> int:
        rates = rates_of(precision, instructions)
        return max(kept for kept in range(0, 901, 10) if Layer("conv", 10, 90, 64, kept, rates).is_sparse)

    assert rates_of("float32", ["amx_bf16"]) == FLOAT32
    found = [sparse_up_to("bfloat16", able) for able in (["amx_bf16", "avx512_bf16"], ["avx512_bf16"], ["bf16"], [])]
    assert found == [200, 320, 410, 900]
    assert sparse_up_to("float32", []) == 470
