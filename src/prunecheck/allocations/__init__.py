"""How many weights each layer keeps: one rule per file. Importing this package registers them all."""

from prunecheck.allocations import erk, smart_ratio, threshold, uniform

__all__ = ["erk", "smart_ratio", "threshold", "uniform"]
