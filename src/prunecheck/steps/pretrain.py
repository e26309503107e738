"""Dense training: what trained methods prune, and the reference."""

from __future__ import annotations

from prunecheck import tensors
from prunecheck.steps import training as training_run
from prunecheck.steps.context import Context
from prunecheck.steps.training import Training, carry_out
from prunecheck.study.step import Step
from prunecheck.training.recipe import recipe_from


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``final`` (all state after ``until`` epochs), ``rewind`` (after the recipe's rewind epoch, where that
    lies before), ``result.json``."""
    training = begin(step, context)
    carry_out([training])
    return files(training)


def begin(step: Step, context: Context) -> Training:
    recipe = recipe_from(step.params["recipe"])
    last, k = step.params["until"], recipe.rewind_epoch
    model = context.model(step.params)
    return training_run.begin(
        step, context, model, recipe, masks=None, phase="pretrain", first=0, last=last, keep_after=k
    )


def files(training: Training) -> dict[str, bytes]:
    files = {"final.safetensors": tensors.to_bytes(training.model.state_dict()), "result.json": training.facts()}
    if training.course.last >= training.course.recipe.rewind_epoch:
        kept = training.kept  # None: diverged before that epoch, and has nothing else to rewind to
        files["rewind.safetensors"] = files["final.safetensors"] if kept is None else tensors.to_bytes(kept)
    return files
