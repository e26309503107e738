"""The checks, by what they corrupt. Importing this package registers them all."""

from prunecheck.pruning.checks import data, masks, updates, weights

__all__ = ["data", "masks", "updates", "weights"]
