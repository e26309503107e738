"""The reference pages, written by the code they describe: every ``<!-- generated: NAME -->`` of a page is filled in.

What has no words of its own (a command, an option, a field, a method …) raises :class:`Undocumented`, and with it
fails the build of the site.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from docs._reference import catalogue, commands, exit_codes, files, plug_ins, study_file
from docs._reference.markdown import Undocumented

__all__ = ["SECTIONS", "Undocumented", "filled"]

PLACE = re.compile(r"^<!-- generated: ([a-z-]+) -->$", flags=re.MULTILINE)

SECTIONS: dict[str, Callable[[], str]] = {
    "commands": commands.markdown,
    "exit-codes": exit_codes.markdown,
    "study-file": study_file.markdown,
    "plug-ins": plug_ins.markdown,
    "results-columns": files.results_columns,
    "environment": files.environment,
    **{kind: catalogue.writer(kind) for kind in catalogue.KINDS},
}


def filled(page: str) -> str:
    """*page* with all its generated parts. Raises Undocumented, KeyError for a part nobody writes."""
    return PLACE.sub(lambda place: SECTIONS[place[1]](), page)
