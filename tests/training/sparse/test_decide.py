"""The fixed rule."""

from __future__ import annotations

from prunecheck.training.sparse.decide import Layer, worth_it


def layer(kept: int) -> Layer:
    return Layer("conv", outputs=10, taps=90, pixels=64, kept=kept)


def test_a_layer_is_sparse_where_few_weights_are_left() -> None:
    assert [layer(kept).is_sparse for kept in (0, 90, 400, 600, 900)] == [True, True, True, False, False]
    assert "90 of 900 weights" in layer(90).why


def test_the_whole_network_must_gain_enough() -> None:
    assert worth_it([layer(90), layer(900)])
    assert not worth_it([layer(400), layer(900), layer(900)])
    assert not worth_it([layer(900)])
