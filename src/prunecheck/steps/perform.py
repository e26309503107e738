"""Perform one step: find its stage, run it, commit what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from prunecheck.steps import compare, corrupt, mask, pretrain, score, train
from prunecheck.steps.context import Context
from prunecheck.steps.training import Training, carry_out
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

BEGIN: Mapping[str, Callable[[Step, Context], Training]] = {"pretrain": pretrain.begin, "train": train.begin}
FILES: Mapping[str, Callable[[Training], Files]] = {"pretrain": pretrain.files, "train": train.files}


def perform(step: Step, context: Context) -> None:
    """Compute a step and commit its artefact; its inputs must be in the store."""
    context.store.commit(step.key, STAGES[step.kind](step, context))


def perform_together(steps: Sequence[Step], context: Context) -> None:
    """The same for several trainings of one kind and one course on one clean data set, in lockstep: every artefact is
    what ``perform`` alone would make, to the byte."""
    trainings: list[Training] = []
    for step in steps:
        training = BEGIN[step.kind](step, context)
        trainings.append(replace(training, feeds=trainings[0].feeds) if trainings else training)  # once in memory
    carry_out(trainings)
    for step, training in zip(steps, trainings, strict=True):
        context.store.commit(step.key, FILES[step.kind](training))
