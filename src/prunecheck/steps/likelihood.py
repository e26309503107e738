"""How well a language model predicts documents, and the step that measures the dense one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from prunecheck.data.documents import Document
from prunecheck.models.language import LanguageModel, windows
from prunecheck.steps.context import Context, as_json
from prunecheck.steps.documents import calibration_documents, evaluation_documents
from prunecheck.study.step import Step


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``result.json`` with the likelihood of every document under the dense model (``documents``) and the
    nats of the same tokens under the frequencies of the calibration text (``unigram``)."""
    model = context.language_model(step.params)
    documents = evaluation_documents(context, step.params)
    how = step.params["evaluation"]
    found = likelihoods(model, documents, how["window"], how["tokens"], step.params["device"])
    calibration = [model.encode(one.text) for one in calibration_documents(context, step.params)]
    unigram = unigram_nats(model, documents, calibration, how["tokens"])
    return {"result.json": as_json({"documents": found, "unigram": unigram, "vocabulary": model.vocabulary})}


@torch.inference_mode()
def likelihoods(
    model: LanguageModel, documents: Iterable[Document], window: int, most: int | None, device: str
) -> list[list[Any]]:
    """``[name, nats, tokens, bytes, words]`` of every document: minus the log likelihood of its scored tokens, summed
    in float64, their number, and the UTF-8 bytes and words of the text they make up.

    *most*: tokens of each document, all for None; then bytes and words are those of the whole document. A token for
    which the outputs are not finite is given equal probabilities over the vocabulary. Raises DataError for a document
    of fewer than two tokens.
    """
    return [_of_document(model, one, window, most, device) for one in documents]


def _of_document(model: LanguageModel, one: Document, window: int, most: int | None, device: str) -> list[Any]:
    tokens = model.encode(one.text)
    cut = tokens[:most]
    nats, scored = 0.0, 0
    for read, predicted in windows(cut, model.prefix, window):
        logits = model.logits(torch.tensor([read], device=device))[0, -len(predicted) :]
        # float64 on the CPU: the sum should not depend on a device's order of reduction
        log_p = torch.log_softmax(logits.cpu().double(), dim=1)
        target = torch.tensor(predicted)[:, None]
        own = torch.where(torch.isfinite(log_p).all(1), log_p.gather(1, target)[:, 0], -math.log(log_p.shape[1]))
        nats -= float(own.sum())
        scored += len(predicted)
    whole = len(cut) == len(tokens)
    return [one.name, nats, scored, len(one.text.encode()) if whole else None, len(one.text.split()) if whole else None]


def unigram_nats(
    model: LanguageModel, documents: Sequence[Document], calibration: Iterable[Sequence[int]], most: int | None
) -> list[float]:
    """Nats of the scored tokens of every document under the token frequencies of *calibration*, each count plus one.

    A model that predicts no better has learned nothing of the order of words.
    """
    counts = np.ones(model.vocabulary)
    for tokens in calibration:
        np.add.at(counts, _known(tokens, model), 1)
    log_p = np.log(counts / counts.sum())
    first = 1 if model.prefix is None else 0
    return [-float(log_p[_known(model.encode(one.text)[:most][first:], model)].sum()) for one in documents]


def _known(tokens: Sequence[int], model: LanguageModel) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.clip(np.asarray(tokens, dtype=np.int64), 0, model.vocabulary - 1)
