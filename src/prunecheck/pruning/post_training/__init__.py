"""Pruning a trained network without training it afterwards: methods, checks, and the walk over its blocks.

Every linear layer is pruned by itself, from what it receives on calibration sequences. Importing this package does not
import torch; the walk is in ``walk``.
"""

from prunecheck.pruning.post_training.decorators import post_training_check, post_training_method

__all__ = ["post_training_check", "post_training_method"]
