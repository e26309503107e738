"""Performs one step: calls the function of its kind and commits the artefact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from prunecheck.errors import PluginError
from prunecheck.process_state import process_state_kept
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS, Registry
from prunecheck.steps import compare, corrupt, evaluate, likelihood, mask, prune, score, training
from prunecheck.steps.context import Context, Params
from prunecheck.study.language_arms import AA
from prunecheck.study.step import Step

STEPS: dict[str, Callable[[Step, Context], dict[str, bytes]]] = {
    "pretrain": training.pretrain,
    "score": score.run,
    "mask": mask.run,
    "corrupt": corrupt.run,
    "train": training.train,
    "compare": compare.run,
    "evaluate": evaluate.run,
    "prune": prune.run,
    "likelihood": likelihood.run,
}


REGISTRIES: dict[str, Registry[Any]] = {
    "method": METHODS,
    "allocate": ALLOCATIONS,
    "check": CHECKS,
    "corruption": CHECKS,
}
"""parameter of a step that describes a plug-in -> where the plug-in is found"""
POST_TRAINING: dict[str, Registry[Any]] = {"method": POST_TRAINING_METHODS, "check": POST_TRAINING_CHECKS}
"""the same of a step that prunes without training"""


def perform(step: Step, context: Context) -> None:
    """Compute *step* and commit its artefact; its inputs must be in the store. Raises PluginError if this process has
    loaded other plug-in code than the step's key was made from."""
    context.store.commit(step.key, compute(step, context))


def compute(step: Step, context: Context) -> dict[str, bytes]:
    """The files of the artefact of *step*, which are not committed."""
    validate_code(step)
    with process_state_kept():  # what a network's own code sets while it is trained, for one
        set_gpu_arithmetic(step.params)
        return STEPS[step.kind](step, context)


def perform_together(steps: Sequence[Step], context: Context) -> None:
    """Compute trainings of one kind at a time on a GPU, and commit each when it ends. Raises what the first of them
    raises; those that ended before are committed."""
    for step in steps:
        validate_code(step)
    with process_state_kept():
        set_gpu_arithmetic(steps[0].params)
        prepared = [training.prepare(step, context) for step in steps]
        for one in training.together(prepared, context):
            context.store.commit(one.step.key, one.files())


def set_gpu_arithmetic(params: Params) -> None:
    """What a step on a GPU computes with, whatever the process had set: kernels that sum in a fixed order, and TF32
    only where the step's ``precision`` says so."""
    if not str(params.get("device")).startswith("cuda"):
        return
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = params.get("precision") == "tf32"


def validate_code(step: Step) -> None:
    """A file may have been edited between planning the study and loading it in this process. (``Context`` does the same
    for the code of a network and the files of a data set.)"""
    for field, registry in (POST_TRAINING if step.kind == "prune" else REGISTRIES).items():
        described = step.params.get(field)
        if described is None or described["name"] == AA:
            continue
        plugin = registry.get(described["name"])
        if plugin.code != described["code"]:
            raise PluginError(
                f"{plugin.origin} was edited after the study was planned, and {registry.kind} {plugin.name!r} is no "
                "longer what the results are filed under. Run the study again."
            )
