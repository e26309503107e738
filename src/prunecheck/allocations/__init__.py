"""How many weights each layer keeps: one rule per file. Importing this package registers them all."""

from prunecheck.allocations import counts_of, erk, smart_ratio, threshold, uniform

__all__ = ["counts_of", "erk", "smart_ratio", "threshold", "uniform"]
