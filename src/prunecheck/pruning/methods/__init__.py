"""The pruning methods, one paper per file. Importing this package registers them all."""

from prunecheck.pruning.methods import (
    dense,
    gradient,
    grasp,
    hybrid_ticket,
    imp,
    lamp,
    lottery_ticket,
    lr_rewinding,
    magnitude,
    magnitude_layerwise,
    random,
    saliency,
    snip,
    synflow,
    weight_rewinding,
)

__all__ = [
    "dense",
    "gradient",
    "grasp",
    "hybrid_ticket",
    "imp",
    "lamp",
    "lottery_ticket",
    "lr_rewinding",
    "magnitude",
    "magnitude_layerwise",
    "random",
    "saliency",
    "snip",
    "synflow",
    "weight_rewinding",
]
