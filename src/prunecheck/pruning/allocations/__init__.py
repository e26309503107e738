"""How many weights each layer keeps. Importing this package registers every rule."""

from prunecheck.pruning.allocations import simple, smart_ratio

__all__ = ["simple", "smart_ratio"]
