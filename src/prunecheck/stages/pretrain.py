"""Dense training: what trained methods prune, and the reference."""

from __future__ import annotations

from torch import nn

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
    files: dict[str, bytes] = {}

    def keep_rewind(model: nn.Module) -> None:
        files["rewind.safetensors"] = tree.to_bytes(model.state_dict())
        context.store.save_partial(_side(step.key), files["rewind.safetensors"])

    if k == 0:
        keep_rewind(model)
    earlier = context.store.load_partial(_side(step.key))
    if earlier is not None:
        files["rewind.safetensors"] = earlier
    facts = train_model(
        step, context, model, recipe, masks=None, phase="pretrain", first=0, last=last, at_epoch={k: keep_rewind}
    )
    context.store.clear_partial(_side(step.key))
    final = tree.to_bytes(model.state_dict())
    if last >= k:
        files.setdefault("rewind.safetensors", final)  # a run that diverged before epoch k has nothing else
    return files | {"final.safetensors": final, "result.json": facts}


def _side(key: str) -> str:
    """Where the rewind weights wait while a long training is under way: a key of its own beside the checkpoint's."""
    return key[1:] + key[0]
