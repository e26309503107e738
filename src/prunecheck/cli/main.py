"""The command ``prunecheck``: results on stdout, progress and messages on stderr, exit codes as in
:mod:`prunecheck.errors`."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from collections.abc import Sequence

from prunecheck.cli.console import discard_output, open_standard_streams, out, print_error, show_cursor
from prunecheck.errors import Interrupted, PrunecheckError
from prunecheck.runner.signals import end_process, has_leftovers, terminated

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""errors of writing to stdout; errors of writing a file are reported where the file is written"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Without *arguments* this is the command itself: it ends here if plug-ins left
    threads or processes behind."""
    open_standard_streams()
    signal.signal(signal.SIGTERM, terminated)
    code = _guarded(sys.argv[1:] if arguments is None else list(arguments))
    if arguments is None and has_leftovers():
        end_process(code)
    return code


def _guarded(words: list[str]) -> int:
    """The exit code of a command, with one message for whatever it raises."""
    try:
        return _run(words)
    except (PrunecheckError, Interrupted) as error:
        return print_error(str(error), error.exit_code)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to clean up: a second Ctrl-C may end it
        show_cursor(sys.stderr)
        return print_error("Interrupted. Finished steps are kept: run the same command again to continue.", 130)
    except BrokenPipeError:  # the reader closed the pipe (`| head`), which is not a failure
        discard_output(sys.stdout)
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            discard_output(sys.stdout)
            return print_error(f"The output cannot be written: {error.strerror}.", 74)
        traceback.print_exc()
        return print_error("This is a bug of prunecheck, not of your study. Please report it with the lines above.", 70)


def _run(words: list[str]) -> int:
    """Parse and run. Imported here, so that Ctrl-C during the import is handled too."""
    from cyclopts.exceptions import CycloptsError

    from prunecheck.cli.app import build, usage_error

    helps = not words or not {"--help", "-h", "--version"}.isdisjoint(words)
    try:
        code = build()(words, console=out() if helps else None, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return print_error(usage_error(error), 2)
    return code if isinstance(code, int) else 0
