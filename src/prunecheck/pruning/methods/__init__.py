"""The pruning methods. Importing this package registers them all; torch is imported when a method is called, so that
the command line lists them without waiting for it."""

from prunecheck.pruning.methods import dynamic, edge_popup, gradient, grasp, lamp, magnitude, movement, random, synflow

__all__ = ["dynamic", "edge_popup", "gradient", "grasp", "lamp", "magnitude", "movement", "random", "synflow"]
