"""How far a study is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from prunecheck.cli import console
from prunecheck.cli.polling import asker, until_over, watch_status
from prunecheck.cli.studies import DEFAULTS, Flag, Options, Out

if TYPE_CHECKING:
    from prunecheck.runner.status import Status


def status(
    study: Path, *, watch: Flag = False, strict: Flag = False, out: Out = None, options: Options = DEFAULTS
) -> int:
    """Show how far a study is: steps done, running, failed and to do, the time left, the verdicts as far as they stand.

    Looks at the store and the results only, so it can be asked at any time and from any other terminal. A verdict is
    shown once its look is complete; until then the check is open.

    Example: prunecheck status study.toml --watch

    Parameters
    ----------
    study
        The study file.
    watch
        Go on until nothing more will come: redraw on a terminal, a line a change elsewhere.
    strict
        Exit with 3 where steps failed and with 75 where the study is not finished.
    """
    from prunecheck.runner.status import text
    from prunecheck.study import load_study

    ask = asker(load_study(study, options.set), options.store, out)

    def command(found: Status) -> str:
        return _next(found, study, out, options)

    if watch and not options.json:
        found = watch_status(ask, console.out(), command)
    else:
        found = list(until_over(ask))[-1] if watch else ask()
        if options.json:
            console.print_json({**found.to_dict(), "next_command": command(found)})
        else:
            print(text(found, command(found)))
    return _code(found) if strict else 0


def _next(found: Status, study: Path, out: Path | None, options: Options) -> str:
    """What to type now, with the options that lead to the same study, store and results."""
    if found.next == "read":
        return f"open {found.page}"
    words = ["prunecheck", {"wait": "status"}.get(found.next, found.next), str(study)]
    words += ["--watch"] if found.next == "wait" else []
    words += [word for change in options.set for word in ("--set", change)]
    words += ["--store", str(options.store)] if options.store else []
    words += ["--out", str(out)] if out else []
    return shlex.join(words)


def _code(found: Status) -> int:
    return {"finished": 0, "failed": 3}.get(found.state, 75)
