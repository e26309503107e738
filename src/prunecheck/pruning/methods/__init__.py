"""The pruning methods. Importing this package registers them all; torch is imported when a method is called, so that
the command line lists them without waiting for it."""

from prunecheck.pruning.methods import gradient, grasp, lamp, magnitude, random, synflow

__all__ = ["gradient", "grasp", "lamp", "magnitude", "random", "synflow"]
