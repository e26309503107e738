"""Perform one step: find its stage, run it, commit what it gives."""

from __future__ import annotations

from collections.abc import Callable

from prunecheck.stages import compare, corrupt, mask, pretrain, score, train
from prunecheck.stages.context import Context
from prunecheck.study.step import Step

Files = dict[str, bytes]
STAGES: dict[str, Callable[[Step, Context], Files]] = {
    "pretrain": pretrain.run,
    "score": score.run,
    "mask": mask.run,
    "corrupt": corrupt.run,
    "train": train.run,
    "compare": compare.run,
}


def perform(step: Step, context: Context) -> None:
    """Compute a step and commit its artefact; its inputs must be in the store."""
    context.store.commit(step.key, STAGES[step.kind](step, context))
