from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from prunecheck.pruning.seeds import number, stream, torch_stream


def states() -> tuple[object, bytes, bytes]:
    return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()  # noqa: NPY002


def test_a_stream_is_a_function_of_seed_and_purpose() -> None:
    assert stream(3, "init").integers(0, 2**60, 8).tolist() == stream(3, "init").integers(0, 2**60, 8).tolist()
    firsts = {
        int(stream(seed, *purpose).integers(0, 2**62))
        for seed in (0, 1, 11)
        for purpose in (
            ("init",),
            ("order",),
            ("order", 0),
            ("order", 1),
            ("order", 1, 0),
            ("check", "rearrange"),
        )
    }
    assert len(firsts) == 18


def test_streams_are_pinned() -> None:
    """Every stored result hangs on these numbers: changing them is a decision, not an accident."""
    assert number(0, "init") == 56043783977286546058710815961996330381
    assert stream(0, "init").integers(0, 1000, 4).tolist() == [505, 666, 55, 820]


def test_neighbouring_streams_are_uncorrelated() -> None:
    draws = np.stack([stream(seed, "noise").standard_normal(4000) for seed in range(12)])
    off_diagonal = np.corrcoef(draws)[~np.eye(12, dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(4000)


def test_a_stream_leaves_every_global_generator_alone() -> None:
    before = states()
    stream(1, "x").permutation(100)
    assert states() == before


def test_torch_stream_rules_inside_and_is_forgotten_outside() -> None:
    before = states()
    with torch_stream(5, "init"):
        first = (torch.randn(4).tolist(), random.random(), np.random.rand(3).tolist())  # noqa: NPY002
    assert states() == before
    torch.manual_seed(999)
    with torch_stream(5, "init"):
        again = (torch.randn(4).tolist(), random.random(), np.random.rand(3).tolist())  # noqa: NPY002
    with torch_stream(5, "dropout"):
        other = torch.randn(4).tolist()
    assert first == again
    assert other != first[0]


def draw_and_fail() -> None:
    torch.randn(4)
    random.random()
    raise ZeroDivisionError


def test_torch_stream_restores_after_an_error() -> None:
    before = states()
    with pytest.raises(ZeroDivisionError), torch_stream(5, "init"):
        draw_and_fail()
    assert states() == before
