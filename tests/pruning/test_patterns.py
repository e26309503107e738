from __future__ import annotations

import numpy as np
import pytest

from prunecheck.errors import StudyError
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.patterns import Pattern, layers_under, parse_pattern

TEXTS = ["2:4", "4:8", "1:3", "filters", "rows", "columns", "kernels", "4x4", "1x8", "8 rows", "2 columns", "4 filters"]
SHAPES = [(8, 8), (16, 24), (8, 8, 3, 3), (16, 24, 1, 1), (8, 8, 5)]


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_a_pattern_is_read_back(text: str) -> None:
    assert str(parse_pattern(text)) == text


def test_leading_zeros_and_a_group_of_one_have_one_text() -> None:
    assert str(parse_pattern("02:04")) == "2:4"
    assert str(parse_pattern("1 rows")) == "rows"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4:2", "'4:2': of every M inputs N stay"),
        ("0:4", "1 <= N < M <= 64"),
        ("2:99", "1 <= N < M <= 64"),
        ("1x1", "a block has 1 to 64 rows and inputs, and more than one weight"),
        ("0x4", "a block has"),
        ("70x1", "a block has"),
        ("0 rows", "can go together"),
        ("4 kernels", "can go together"),
        ("filter", "'filter' is no pattern. There are: N:M such as '2:4'"),
        ("٢:٤", "is no pattern"),
        ("", "is no pattern"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_pattern(text)


def naive_groups(pattern: Pattern, shape: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """The groups of weights, by index, written down weight by weight."""
    a, b = pattern.size
    kernel = list(np.ndindex(*shape[2:]))
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for out in range(shape[0]):
        for place, at in enumerate(kernel):
            for inp in range(shape[1]):
                group: tuple[int, ...] = {
                    "n:m": (out, place, inp // b),
                    "filters": (out // a,),
                    "rows": (out // a,),
                    "columns": (inp // a,),
                    "kernels": (out, inp),
                    "blocks": (out // a, place, inp // b),
                }[pattern.kind]
                groups.setdefault(group, []).append((out, inp, *at))
    return list(groups.values())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", TEXTS)
def test_groups_are_those_of_the_definition(text: str, shape: tuple[int, ...]) -> None:
    pattern = parse_pattern(text)
    if not pattern.fits(shape):
        pytest.skip("this shape cannot be divided so")
    index = pattern.groups(shape)
    assert sorted(index.reshape(-1).tolist()) == list(range(int(np.prod(shape))))
    found = {frozenset(group) for group in index.tolist()}
    naive = naive_groups(pattern, shape)
    assert found == {frozenset(int(np.ravel_multi_index(at, shape)) for at in group) for group in naive}


def test_weights_of_a_group_of_n_of_m_are_in_the_order_of_the_inputs() -> None:
    shape = (3, 8, 2, 2)
    first = np.unravel_index(parse_pattern("2:4").groups(shape)[0], shape)
    assert [at.tolist() for at in first] == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "shape", "fits"),
    [
        ("2:4", (5, 8), True),
        ("2:4", (5, 3, 3, 3), False),
        ("2:4", (8,), False),
        ("filters", (5, 8), False),
        ("filters", (5, 1, 3, 3), True),
        ("rows", (1, 8), False),
        ("4 rows", (6, 8), False),
        ("columns", (5, 1, 3, 3), False),
        ("kernels", (5, 8, 1, 1), False),
        ("4x4", (4, 4), False),
        ("4x4", (4, 8), True),
        ("4x4", (4, 4, 3, 3), True),
        ("4x4", (6, 8), False),
    ],
)
def test_shapes_that_fit_have_more_than_one_group(text: str, shape: tuple[int, ...], fits: bool) -> None:
    assert parse_pattern(text).fits(shape) is fits


def test_outputs_of_the_last_layer_stay() -> None:
    layers = (
        Layer("a.weight", "conv", (8, 3, 3, 3)),
        Layer("b.weight", "linear", (16, 8)),
        Layer("c.weight", "linear", (10, 16)),
    )

    def names(text: str) -> str:
        return "".join(layer.name[0] for layer in layers_under(parse_pattern(text), layers))

    assert names("filters") == "a"
    assert names("rows") == "ab"
    assert names("columns") == "abc"
    assert names("2:4") == "bc"
    assert names("kernels") == "a"
    assert names("8 rows") == "b"
