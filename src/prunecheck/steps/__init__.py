"""One file per arrow of the picture: inputs by key in, one artefact out, nothing remembered between two steps."""

from prunecheck.steps.context import Context
from prunecheck.steps.perform import perform, perform_together

__all__ = ["Context", "perform", "perform_together"]
