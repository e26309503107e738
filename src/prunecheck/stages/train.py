"""Train a ticket: start weights and mask in, last-epoch accuracy out."""

from __future__ import annotations

from prunecheck.core import tree
from prunecheck.stages.context import Context
from prunecheck.stages.training_run import train_model
from prunecheck.study.step import Step
from prunecheck.training.recipe import recipe_from


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``final`` (all state of the trained ticket) and ``result.json`` (accuracies, every epoch)."""
    params = step.params
    recipe = recipe_from(params["recipe"])
    model = context.model(params)
    if "start" in step.inputs:
        model.load_state_dict(context.tree(step.inputs["start"], params["file"]))
    facts, _ = train_model(
        step,
        context,
        model,
        recipe,
        masks=context.tree(step.inputs["masks"], "masks"),
        phase="ticket",
        first=params["first"],
        last=recipe.epochs,
    )
    return {"final.safetensors": tree.to_bytes(model.state_dict()), "result.json": facts}
