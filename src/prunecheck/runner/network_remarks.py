"""Remarks on the network of a study: weights that its masks leave dense, weights that only ever multiply padding."""

from __future__ import annotations

from typing import NamedTuple

from prunecheck import models
from prunecheck.errors import ModelError
from prunecheck.pruning.layers import layers_of
from prunecheck.study.data_set import shape_of
from prunecheck.study.study import Study


class NetworkRemarks(NamedTuple):
    """One sentence on either, empty where there is nothing to say."""

    dense: str = ""
    padding: str = ""

    @property
    def given(self) -> list[str]:
        return [remark for remark in self if remark]


def network_remarks(study: Study) -> NetworkRemarks:
    """Says so, instead of raising, where a network from outside the package cannot be built."""
    # Networks of the package have neither kind of weights; to look would cost the import of torch.
    if not models.is_external(study.model):
        return NetworkRemarks()
    from prunecheck.models.padding import padding_only
    from prunecheck.pruning.left_dense import left_dense
    from prunecheck.pruning.seeds import torch_stream

    shape = shape_of(study)
    side = study.data.size or shape.size
    try:
        with torch_stream(0, "skeleton"):
            model = models.build(study.model, shape.num_classes, shape.channels, side, folder=study.folder)
        dense = left_dense(model, layers_of(model, study.also_prune))
    except ModelError as error:
        return NetworkRemarks(f"Whether weights stay dense is unknown: {error}")
    padding = padding_only(model, shape.channels, side)
    return NetworkRemarks(
        dense.sentence(study.sparsities) if dense is not None else "",
        padding.sentence(study.model, side) if padding is not None else "",
    )
