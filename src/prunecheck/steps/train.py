"""Train a ticket: start weights and mask in, last-epoch accuracy out."""

from __future__ import annotations

from prunecheck import tensors
from prunecheck.steps import training as training_run
from prunecheck.steps.context import Context
from prunecheck.steps.training import Training, carry_out
from prunecheck.study.step import Step
from prunecheck.training.recipe import recipe_from


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``final`` (all state of the trained ticket) and ``result.json`` (accuracies, every epoch)."""
    training = begin(step, context)
    carry_out([training])
    return files(training)


def begin(step: Step, context: Context) -> Training:
    params = step.params
    recipe = recipe_from(params["recipe"])
    model = context.model(params)
    if "start" in step.inputs:
        model.load_state_dict(context.tree(step.inputs["start"], params["file"]))
    masks = context.tree(step.inputs["masks"], "masks")
    return training_run.begin(
        step, context, model, recipe, masks=masks, phase="ticket", first=params["first"], last=recipe.epochs
    )


def files(training: Training) -> dict[str, bytes]:
    return {"final.safetensors": tensors.to_bytes(training.model.state_dict()), "result.json": training.facts()}
