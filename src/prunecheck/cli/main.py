"""The command ``prunecheck``: results on stdout, progress and messages on stderr, exit codes as in
:mod:`prunecheck.core.errors`."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Sequence

from cyclopts import App, Group
from cyclopts.exceptions import CycloptsError

from prunecheck.cli import (
    cache,
    catalogue,
    completion,
    doctor,
    explain,
    judging,
    paper,
    presets,
    status,
    studies,
    tickets,
    verifying,
)
from prunecheck.cli.helping import exit_codes, flow_all
from prunecheck.cli.say import complain, out, unplug
from prunecheck.core.errors import Interrupted, PrunecheckError
from prunecheck.run.stopping import terminated

HELP = """Placebo-controlled trials for pruning methods.

Start with `prunecheck demo` (a few minutes, nothing to set up), then `prunecheck init study.toml` and \
`prunecheck run study.toml`. Every command resumes: run it again after any interruption.
"""


GROUPS: dict[str, dict[str, Callable[..., object] | App]] = {
    "Studies": {
        "demo": studies.demo,
        "init": studies.init,
        "plan": studies.plan,
        "run": studies.run,
        "status": status.status,
        "report": studies.report,
        "paper": paper.paper,
        "verify": verifying.verify,
        "explain": explain.explain,
    },
    "Without a study": {
        "verdict": judging.verdict,
        "counts": catalogue.counts,
        "ticket": tickets.ticket,
        "audit": tickets.audit,
        "arms": tickets.arms,
    },
    "What there is": {
        "list": catalogue.list_,
        "presets": presets.app,
        "schema": catalogue.schema,
        "cache": cache.app,
        "doctor": doctor.doctor,
        "completion": completion.completion,
    },
}
"""group -> name -> what it does, in the order in which help shows them"""


def make_app() -> App:
    app = App(
        name="prunecheck",
        help=HELP,
        help_epilogue=exit_codes(),
        group_commands=Group("Options", sort_key=len(GROUPS)),
        help_format="plaintext",  # rich's Markdown takes longer to import than all the rest
        version=_version,
        version_flags=["--version"],
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # we have something to say about it
    )
    for place, (title, commands) in enumerate(GROUPS.items()):
        group = Group(title, sort_key=place)
        for order, (name, command) in enumerate(commands.items()):
            if isinstance(command, App):
                command.group, command.sort_key = (group,), order
                app.command(command)
            else:
                app.command(command, name=name, group=group, sort_key=order)
    flow_all(app)
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
