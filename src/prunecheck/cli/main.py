"""The command ``prunecheck``: results on stdout, progress and messages on stderr, exit codes as in
:mod:`prunecheck.core.errors`."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from prunecheck.cli import cache, catalogue, doctor, explain, judging, presets, status, studies, tickets, verifying
from prunecheck.cli.say import complain, out, unplug
from prunecheck.core.errors import Interrupted, PrunecheckError
from prunecheck.run.stopping import terminated

HELP = """Placebo-controlled trials for pruning methods.

Start with `prunecheck demo` (a few minutes, nothing to set up), then `prunecheck init study.toml` and \
`prunecheck run study.toml`. Every command resumes: run it again after any interruption.
"""


def make_app() -> App:
    app = App(
        name="prunecheck",
        help=HELP,
        help_format="plaintext",  # rich's Markdown takes longer to import than all the rest
        version=_version,
        version_flags=["--version"],
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # we have something to say about it
    )
    for command in (studies.demo, studies.init, studies.plan, studies.run, studies.report, judging.verdict):
        app.command(command)
    app.command(status.status)
    app.command(tickets.ticket)
    app.command(tickets.audit)
    app.command(tickets.arms)
    app.command(catalogue.list_, name="list")
    app.command(catalogue.counts)
    app.command(catalogue.schema)
    app.command(presets.app)
    app.command(verifying.verify)
    app.command(cache.app)
    app.command(explain.explain)
    app.command(doctor.doctor)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the desk and return (at the console script: exit with) its code."""
    signal.signal(signal.SIGTERM, terminated)
    app = make_app()
    words = sys.argv[1:] if arguments is None else list(arguments)
    helps = not words or not {"--help", "-h", "--version"}.isdisjoint(words)
    try:
        code = app(words, console=out() if helps else None, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return complain(str(error), 2)
    except (PrunecheckError, Interrupted) as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return complain("Interrupted. All that was finished is kept: run the same command again to go on.", 130)
    except BrokenPipeError:  # nobody reads on (`| head`): that is no failure
        unplug(sys.stdout)
        return 0
    except Exception:
        traceback.print_exc()
        return complain("This is a bug of prunecheck, not of your study. Please report it with the lines above.", 70)
    return code if isinstance(code, int) else 0


def _version() -> str:
    from prunecheck import __version__  # looking it up takes time, so only when it is asked for

    return __version__
