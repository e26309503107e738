"""Performs one step: calls the function of its kind and commits the artefact."""

from __future__ import annotations

from collections.abc import Callable

from prunecheck.steps import compare, corrupt, mask, score, training
from prunecheck.steps.context import Context
from prunecheck.study.step import Step

STEPS: dict[str, Callable[[Step, Context], dict[str, bytes]]] = {
    "pretrain": training.pretrain,
    "score": score.run,
    "mask": mask.run,
    "corrupt": corrupt.run,
    "train": training.train,
    "compare": compare.run,
}


def perform(step: Step, context: Context) -> None:
    """Compute *step* and commit its artefact; its inputs must be in the store."""
    context.store.commit(step.key, STEPS[step.kind](step, context))
