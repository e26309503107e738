"""How many weights each layer keeps: one rule per file. Importing this package registers them all."""

from prunecheck.pruning.allocations import balanced, counts_of, erk, pyramidal, smart_ratio, threshold, uniform

__all__ = ["balanced", "counts_of", "erk", "pyramidal", "smart_ratio", "threshold", "uniform"]
