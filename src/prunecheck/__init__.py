"""Placebo-controlled trials for pruning methods.

``prunecheck.run(study)`` runs a study; ``mask`` and ``random_ticket`` give masks for any module, ``keep`` holds
them while any code trains it; ``read_masks`` and ``audit`` take anybody's masks, ``verdict`` anybody's numbers;
``method`` and ``check`` make a plug-in of a function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prunecheck.api import (
    audit,
    counts,
    keep,
    mask,
    permuted,
    plan,
    random_ticket,
    read_masks,
    report,
    run,
    status,
    verdict,
)
from prunecheck.errors import PrunecheckError, StudyError

if TYPE_CHECKING:
    __version__: str
    from prunecheck.pruning import allocation, check, method
    from prunecheck.study import Study, load_study

_LATER = {
    **dict.fromkeys(("allocation", "check", "method"), "prunecheck.pruning"),
    **dict.fromkeys(("Study", "load_study"), "prunecheck.study"),
}

__all__ = [
    "PrunecheckError",
    "Study",
    "StudyError",
    "__version__",
    "allocation",
    "audit",
    "check",
    "counts",
    "keep",
    "load_study",
    "mask",
    "method",
    "permuted",
    "plan",
    "random_ticket",
    "read_masks",
    "report",
    "run",
    "status",
    "verdict",
]


def __getattr__(name: str) -> Any:
    """Names that cost time are imported when first used: the desk answers without waiting."""
    if name == "__version__":
        return _version()
    if name not in _LATER:
        raise AttributeError(f"module 'prunecheck' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("prunecheck")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0.0.0"


def __dir__() -> list[str]:
    return __all__
