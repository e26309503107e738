"""The application: every command by group and name, and the layout of its help."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App, Group

from prunecheck import errors
from prunecheck.cli import cache, catalogue, cluster, plan, publish, results, status, studies, tickets
from prunecheck.cli.console import note
from prunecheck.cli.options import Flag
from prunecheck.text import unknown

if TYPE_CHECKING:
    from cyclopts.exceptions import CycloptsError

HELP = """Placebo-controlled trials for pruning methods.

Start with `prunecheck demo` (a few minutes, nothing to set up), then `prunecheck init study.toml` and \
`prunecheck run study.toml`. Every command resumes: run it again after any interruption.
"""

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


def completion(shell: Shell | None = None, *, install: Flag = False) -> None:
    """Print the script that completes commands, options, files and names in a shell.

    Try it in the current shell with `source <(prunecheck completion bash)`, in fish with \
`prunecheck completion fish | source`.

    Example: prunecheck completion bash --install

    Parameters
    ----------
    shell
        bash, zsh or fish (default: the one $SHELL names).
    install
        Write the script into your home folder, where the shell finds it, instead of printing it; for bash and zsh
        also add a line to .bashrc or .zshrc.
    """
    app, chosen = build(), shell or _own_shell()
    if install:
        try:
            path = app.install_completion(shell=chosen)
        except OSError as error:
            raise errors.StudyError(f"the script cannot be written: {error.strerror}: {error.filename}.") from None
        note(f"{path} written. Start a new shell to use it.")
    else:
        print(app.generate_completion(shell=chosen), end="")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    if name in SHELLS:
        return name
    reason = f"{unknown('shell with completion', name, SHELLS)} " if name else ""
    raise errors.StudyError(f"{reason}Name one: prunecheck completion bash")


GROUPS: dict[str, dict[str, Callable[..., object] | App]] = {
    "Studies": {
        "demo": studies.demo,
        "init": studies.init,
        "plan": plan.plan,
        "run": studies.run,
        "submit": cluster.submit,
        "status": status.status,
        "report": studies.report,
        "paper": results.paper,
        "verify": studies.verify,
        "publish": publish.publish,
        "diff": publish.diff,
        "explain": plan.explain,
    },
    "Without a study": {
        "verdict": results.verdict,
        "counts": catalogue.counts,
        "ticket": tickets.ticket,
        "audit": tickets.audit,
        "arms": tickets.arms,
    },
    "Lists and tools": {
        "list": catalogue.list_,
        "presets": catalogue.presets,
        "schema": catalogue.schema,
        "cache": cache.app,
        "doctor": catalogue.doctor,
        "completion": completion,
    },
}
"""group -> name -> command, in the order of the help"""


def build() -> App:
    """The application, without running it."""
    app = App(
        name="prunecheck",
        help=HELP,
        help_epilogue=exit_codes(),
        group_commands=Group("Options", sort_key=len(GROUPS)),
        help_format="plaintext",  # rich's Markdown takes longer to import than all the rest
        version=_version,
        version_flags=["--version"],
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # main prints what is kept and how to go on
    )
    for index, (title, commands) in enumerate(GROUPS.items()):
        group = Group(title, sort_key=index)
        for order, (name, command) in enumerate(commands.items()):
            if isinstance(command, App):
                command.group, command.sort_key = (group,), order
                app.command(command)
            else:
                app.command(command, name=name, group=group, sort_key=order)
    _flow_help(app)
    return app


def _version() -> str:
    from prunecheck import __version__

    return __version__


def _flow_help(app: App) -> None:
    """Fill the paragraphs of every command's help to the terminal's width; cyclopts keeps the source's line breaks."""
    for word in app:
        if not word.startswith("-"):
            command = app[word]
            command.help = flowed(command.help)
            _flow_help(command)


def flowed(docstring: str) -> str:
    """The prose of a numpydoc docstring without its parameters, one line per paragraph."""
    prose = inspect.cleandoc(docstring).partition("Parameters\n---")[0].strip()
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in prose.split("\n\n"))


def usage_error(error: CycloptsError) -> str:
    """The message for a command line that cannot be parsed; where an argument is missing, with an example."""
    from cyclopts.exceptions import MissingArgumentError

    argument, message = error.argument, str(error)
    is_missing = isinstance(error, MissingArgumentError) and error.keyword is None
    if not is_missing or argument is None or argument.tokens or "Did you mean" in message:
        return message
    name = argument.names[0]
    missing = name if argument.index is None else name.removeprefix("--").upper()
    example = (getattr(error.target, "__doc__", None) or "").partition("Example: ")[2].partition("\n")[0].strip()
    return f"{' '.join(error.command_chain or ())} needs {missing}. For example: {example}"


def exit_codes() -> str:
    """The sentence on exit codes, from the docstring of :mod:`prunecheck.errors`."""
    sentence = (errors.__doc__ or "").partition("Exit codes:")[2].partition("\n\n")[0]
    return f"Exit codes: {' '.join(sentence.split())}"
