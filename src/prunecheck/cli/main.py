"""The command ``prunecheck``: results on stdout, progress and messages on stderr, exit codes as in
:mod:`prunecheck.errors`."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunecheck.cli.console import complain, out, plug_all, show_cursor, unplug
from prunecheck.errors import Interrupted, PrunecheckError
from prunecheck.runner.signals import terminated

if TYPE_CHECKING:
    from cyclopts import App

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""what writing to stdout can end with; files are written by those who say so themselves"""


def make_app() -> App:
    """The application, without running it."""
    from prunecheck.cli.app import build

    return build()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the desk and return (at the console script: exit with) its code."""
    plug_all()
    signal.signal(signal.SIGTERM, terminated)
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(words)
    except (PrunecheckError, Interrupted) as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to be tidied up: another one ends it at once
        show_cursor(sys.stderr)
        return complain("Interrupted. All that was finished is kept: run the same command again to go on.", 130)
    except BrokenPipeError:  # nobody reads on (`| head`): that is no failure
        unplug(sys.stdout)
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            unplug(sys.stdout)
            return complain(f"The output cannot be written: {error.strerror}.", 74)
        traceback.print_exc()
        return complain("This is a bug of prunecheck, not of your study. Please report it with the lines above.", 70)


def _run(words: list[str]) -> int:
    """Imports here can be interrupted as anything else can."""
    from cyclopts.exceptions import CycloptsError

    helps = not words or not {"--help", "-h", "--version"}.isdisjoint(words)
    try:
        code = make_app()(words, console=out() if helps else None, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        from prunecheck.cli.helping import refusal

        return complain(refusal(error), 2)
    return code if isinstance(code, int) else 0
