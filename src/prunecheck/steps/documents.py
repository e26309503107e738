"""The documents of a step, and the calibration sequences of a draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prunecheck.data.documents import Document, fingerprint, read_documents, sample
from prunecheck.errors import DataError
from prunecheck.models.language import LanguageModel
from prunecheck.steps.context import Context, Params
from prunecheck.text import counted, printable

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

Tokens = np.ndarray[Any, np.dtype[np.int64]]


def calibration_documents(context: Context, params: Params) -> tuple[Document, ...]:
    return _documents(context, params["calibration"]["fingerprint"])


def other_documents(context: Context, params: Params) -> tuple[Document, ...]:
    return _documents(context, params["other_text"])


def evaluation_documents(context: Context, params: Params) -> tuple[Document, ...]:
    """The evaluated documents, in a fixed order. Raises DataError where one is too short to be scored."""
    how = params["evaluation"]
    return sample(_documents(context, how["fingerprint"]), how["documents"])


def _documents(context: Context, expected: str) -> tuple[Document, ...]:
    """The documents with that fingerprint. Raises DataError where the files have changed since the plan."""
    assert context.language is not None
    place, field = context.language.texts[expected]
    found = read_documents(place, field)
    if fingerprint(found) != expected:
        raise DataError(
            f"the documents of {printable(place)} changed since the study was planned. Run the study again."
        )
    return found


def draw(streams: Sequence[Sequence[int]], sequences: int, length: int, separator: int | None, rng: Rng) -> Tokens:
    """Calibration sequences: int64 [sequences, length].

    The documents (*streams* of tokens), in random order and with *separator* between them, are cut into windows from a
    random offset on, and *sequences* of these are drawn without replacement. Raises DataError where there are too few.
    """
    order = rng.permutation(len(streams))
    between = [] if separator is None else [separator]
    every = [np.asarray([*streams[i], *between], dtype=np.int64) for i in order]
    text = np.concatenate(every) if every else np.zeros(0, dtype=np.int64)
    spare = len(text) - sequences * length
    if spare < 0:
        raise DataError(too_little_text(len(text), sequences, length))
    offset = int(rng.integers(0, min(spare, length - 1) + 1))
    available = (len(text) - offset) // length
    chosen = rng.permutation(available)[:sequences]
    return np.stack([text[offset + i * length : offset + (i + 1) * length] for i in chosen])


def too_little_text(tokens: int, sequences: int, length: int) -> str:
    """The error for calibration text that is shorter than one draw."""
    possible = max(tokens // length, 0)
    return (
        f"data.calibration has {counted(tokens, 'token')}, and a draw takes data.sequences = {sequences} of "
        f"data.length = {length}. Give more text, or at most {counted(possible, 'sequence')} of this length."
    )


def share_of_text(streams: Sequence[Sequence[int]], sequences: int, length: int) -> float:
    """The fraction of the calibration text that one draw takes: near 1 all draws are nearly the same."""
    return min(1.0, sequences * length / max(sum(map(len, streams)), 1))


def tokens_of(model: LanguageModel, documents: Sequence[Document]) -> list[list[int]]:
    return [model.encode(one.text) for one in documents]
