"""Pruning methods, allocations and checks on plain tensors, and the contract of plug-ins.

A plug-in is a plain function that asks, by the names of its parameters, for what it needs and gets nothing else. Three
kinds: a *method* scores weights (or gives masks), an *allocation* says how many weights each layer keeps, a *check*
corrupts one thing at one intervention point. Importing this package does not import torch, so that the command line
starts fast.
"""

from prunecheck.pruning.decorators import allocation, check, method
from prunecheck.pruning.plugins import Allocation, Check, Method
from prunecheck.pruning.registry import ALLOCATIONS, CHECKS, METHODS, load_file, temporary_plugins

__all__ = [
    "ALLOCATIONS",
    "CHECKS",
    "METHODS",
    "Allocation",
    "Check",
    "Method",
    "allocation",
    "check",
    "load_file",
    "method",
    "temporary_plugins",
]
