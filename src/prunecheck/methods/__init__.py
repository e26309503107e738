"""The pruning methods, one paper per file. Importing this package registers them all."""

from prunecheck.methods import (
    dense,
    grasp,
    hybrid_ticket,
    lottery_ticket,
    lr_rewinding,
    magnitude,
    random_ticket,
    snip,
    weight_rewinding,
)

__all__ = [
    "dense",
    "grasp",
    "hybrid_ticket",
    "lottery_ticket",
    "lr_rewinding",
    "magnitude",
    "random_ticket",
    "snip",
    "weight_rewinding",
]
