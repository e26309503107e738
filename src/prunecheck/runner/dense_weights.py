"""What the masks of a study leave dense."""

from __future__ import annotations

from prunecheck import models
from prunecheck.errors import ModelError
from prunecheck.pruning.left_dense import LeftDense
from prunecheck.study.data_set import shape_of
from prunecheck.study.study import Study


def dense_weights(study: Study) -> LeftDense | None:
    """None where next to nothing stays dense. Raises ModelError where a network from outside the package cannot be
    built."""
    # Networks of the package leave nothing but biases and normalisation; to look would cost the import of torch.
    if not models.is_external(study.model):
        return None
    from prunecheck.pruning.prune import dense_beside

    found = shape_of(study)
    return dense_beside(study.model, (found.num_classes, found.channels, found.size), study.also_prune, study.folder)


def dense_remark(study: Study) -> str:
    """The sentence on what stays dense, or why there is none; empty where next to nothing does."""
    try:
        found = dense_weights(study)
    except ModelError as error:
        return f"Whether weights stay dense is unknown: {error}"
    return found.sentence(study.sparsities) if found is not None else ""
