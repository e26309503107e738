"""``python -m benchmarks.memory ours|topk|sort [--quick]``: the extra memory of making one mask, in MiB.

A process of its own, because a peak cannot be told from an earlier one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import official_masks
from benchmarks.masks import SPARSITY, from_scores, made_up_scores
from benchmarks.resident import extra_mib
from benchmarks.shapes import resnet50_layers
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import total


def main(arguments: list[str]) -> None:
    layers = resnet50_layers(width=4 if "--quick" in arguments else 64)
    scores, kept = made_up_scores(layers), kept_total(total(layers), SPARSITY)
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: from_scores(scores, kept),
        "topk": lambda: official_masks.by_topk(list(scores.values()), kept),
        "sort": lambda: official_masks.by_sort(list(scores.values()), kept),
    }
    tiny = {layer.name: scores[layer.name][:1, :1] for layer in layers[:2]}
    from_scores(tiny, 1)  # what is loaded on first use is not counted
    official_masks.by_topk(list(tiny.values()), 1)
    official_masks.by_sort(list(tiny.values()), 1)
    print(extra_mib(works[arguments[0]]))


if __name__ == "__main__":
    main(sys.argv[1:])
