"""Dense training: what trained methods prune, and the reference."""

from __future__ import annotations

from prunecheck.core import tree
from prunecheck.stages.context import Context
from prunecheck.stages.training_run import train_model
from prunecheck.study.step import Step
from prunecheck.training.recipe import recipe_from


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``final`` (all state after ``until`` epochs), ``rewind`` (after the recipe's rewind epoch, where that
    lies before), ``result.json``."""
    recipe = recipe_from(step.params["recipe"])
    last, k = step.params["until"], recipe.rewind_epoch
    model = context.model(step.params)
    facts, rewind = train_model(
        step, context, model, recipe, masks=None, phase="pretrain", first=0, last=last, keep_after=k
    )
    files = {"final.safetensors": tree.to_bytes(model.state_dict()), "result.json": facts}
    if last >= k:  # a run that diverged before epoch k has nothing else to rewind to
        files["rewind.safetensors"] = files["final.safetensors"] if rewind is None else tree.to_bytes(rewind)
    return files
