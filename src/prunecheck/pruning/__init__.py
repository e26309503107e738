"""The contract between prunecheck and the functions other people write.

A plug-in is a plain function that asks, by the names of its parameters, for what it needs and gets nothing else.
Three kinds: a *method* scores weights (or gives masks), an *allocation* says how many weights each layer keeps, a
*check* corrupts one thing at one joint. This room never imports torch at import time, so that the desk stays quick.
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
