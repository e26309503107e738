"""One function per kind of step: reads its inputs from the store by key, returns the files of one artefact."""

from prunecheck.steps.context import Context
from prunecheck.steps.perform import compute, perform, perform_together

__all__ = ["Context", "compute", "perform", "perform_together"]
