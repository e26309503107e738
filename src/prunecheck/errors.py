"""The errors that prunecheck raises, with the exit code of each on the command line.

Exit codes: 0 success · 1 a verdict failed (with --strict only) or changed (diff) · 2 the request itself is wrong
· 3 some steps failed · 4 inconclusive (with --strict only) · 70 a bug of prunecheck · 74 the disk · 75 interrupted, run
again to resume · 130 Ctrl-C.

A message is one to three lines: what is wrong, where (file and field), and the nearest right thing.
"""

from __future__ import annotations


class PrunecheckError(Exception):
    """Base class; the command line prints its message without a traceback and exits with ``exit_code``."""

    exit_code = 70


class StudyError(PrunecheckError):
    """The request is wrong: a study file, an option, a name, a value. Nothing was run or written."""

    exit_code = 2


class InfeasibleError(StudyError):
    """No allocation of kept weights can satisfy the request (too sparse, or a fixed layer exceeds the budget)."""


class PluginError(StudyError):
    """A method, check or allocation broke the contract (see ``prunecheck.pruning``)."""


class ModelError(StudyError):
    """The model cannot be used: unknown, nothing to prune, wrong head, wrong input."""


class DataError(StudyError):
    """The data set cannot be used: missing, incomplete, mislabelled, empty."""


class DataMissing(DataError):
    """The files of the data set are not where they were looked for."""


class StepError(PrunecheckError):
    """Steps of the plan failed; all others were finished and kept."""

    exit_code = 3


class StoreError(PrunecheckError):
    """The disk or the store failed: full, unwritable, not a store, written by a newer version."""

    exit_code = 74


class Interrupted(BaseException):
    """Stopped from outside; what was committed stays, the same command resumes.

    Like KeyboardInterrupt not an ``Exception``: a plug-in's ``except Exception`` must not swallow it.
    """

    exit_code = 75


STOPS = (KeyboardInterrupt, Interrupted)
"""what is passed on when code of the user raises it. Everything else is that code's failure, also what is no
``Exception``: SystemExit, GeneratorExit, classes of its own."""


def is_own(error: BaseException) -> bool:
    """Whether the message of *error* was written by prunecheck: a plug-in may derive classes from those above whose
    constructor takes something else, or whose text cannot be printed."""
    return isinstance(error, (PrunecheckError, Interrupted)) and type(error).__module__.startswith("prunecheck.")
