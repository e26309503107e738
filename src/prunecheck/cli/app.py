"""The application: every command by group and name."""

from __future__ import annotations

from collections.abc import Callable

from cyclopts import App, Group

from prunecheck.cli import (
    cache,
    catalogue,
    completers,
    doctor,
    explain,
    paper,
    presets,
    results,
    status,
    studies,
    tickets,
    verifying,
)
from prunecheck.cli.helping import exit_codes, flow_all

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
        "verdict": results.verdict,
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
        "completion": completers.completion,
    },
}
"""group -> name -> what it does, in the order in which help shows them"""


def build() -> App:
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


def _version() -> str:
    from prunecheck import __version__  # looking it up takes time, so only when it is asked for

    return __version__
