from __future__ import annotations

import numpy as np
import pytest

from prunecheck.errors import DataError
from prunecheck.pruning.seeds import stream
from prunecheck.steps.documents import draw, share_of_text

STREAMS = [list(range(100 * i, 100 * i + 37)) for i in range(1, 9)]


def test_a_draw_takes_stretches_of_the_text_none_twice() -> None:
    found = draw(STREAMS, 6, 20, None, stream(0, "t"))
    assert found.shape == (6, 20)
    tokens = found.reshape(-1)
    assert len(set(tokens.tolist())) == tokens.size
    inside = np.diff(found, axis=1)
    assert (inside == 1).mean() > 0.9  # consecutive, but where a document ends


def test_draws_of_two_seeds_differ_and_of_one_are_equal() -> None:
    one, again, other = (draw(STREAMS, 6, 20, None, stream(seed, "t")) for seed in (0, 0, 1))
    assert (one == again).all()
    assert not (one == other).all()


def test_documents_are_separated() -> None:
    found = draw(STREAMS, 15, 20, 7, stream(0, "t")).reshape(-1)
    assert 5 <= (found == 7).sum() <= 8


def test_too_little_text_says_how_many_sequences_there_are() -> None:
    with pytest.raises(DataError, match=r"296 tokens.* at most 14 sequences"):
        draw(STREAMS, 15, 20, None, stream(0, "t"))


def test_the_share_of_the_text_that_a_draw_takes() -> None:
    assert share_of_text(STREAMS, 7, 20) == pytest.approx(140 / 296)
