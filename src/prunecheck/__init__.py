"""Placebo-controlled trials for pruning methods.

``prunecheck.run(study)`` runs a study; ``mask`` and ``random_ticket`` give masks for any module, ``keep`` keeps pruned
weights at 0 while any code trains it, ``arms`` gives the networks of a trial to code of your own; ``read_masks`` and
``audit`` take masks from any source, ``verdict`` any table of results; ``method``, ``allocation`` and ``check`` make a
plug-in of a function. See also ``prunecheck.interop``.

These names and those of ``prunecheck.interop`` are the public interface; other modules may change with every version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunecheck._lazy import lazily
from prunecheck.api import (
    arms,
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
    from prunecheck.pruning.post_training import post_training_check, post_training_method
    from prunecheck.runner.results import Results
    from prunecheck.study import Study, load_study

__all__ = [
    "PrunecheckError",
    "Results",
    "Study",
    "StudyError",
    "__version__",
    "allocation",
    "arms",
    "audit",
    "check",
    "counts",
    "keep",
    "load_study",
    "mask",
    "method",
    "permuted",
    "plan",
    "post_training_check",
    "post_training_method",
    "random_ticket",
    "read_masks",
    "report",
    "run",
    "status",
    "verdict",
]


_public = lazily(
    __name__,
    {
        "prunecheck.pruning": ["allocation", "check", "method"],
        "prunecheck.pruning.post_training": ["post_training_check", "post_training_method"],
        "prunecheck.runner.results": ["Results"],
        "prunecheck.study": ["Study", "load_study"],
    },
)


def __getattr__(name: str) -> Any:
    return _version() if name == "__version__" else _public(name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("prunecheck")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0.0.0"


def __dir__() -> list[str]:
    return __all__
