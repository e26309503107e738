"""Where the plug-ins of a study live: worker processes see installed ones and those in the study's plug-in files."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

from prunecheck.pruning.plugins import Plugin
from prunecheck.study.arms import Entrant, control_arms, entrants, trials
from prunecheck.study.study import Study

GROUPS = ("prunecheck.methods", "prunecheck.allocations", "prunecheck.checks")


def hidden_from_workers(study: Study) -> Plugin | None:
    """A plug-in of the study that was defined in this process alone (a notebook, a script, a module imported there);
    None where there is none."""
    installed = {point.module.split(".")[0] for group in GROUPS for point in entry_points(group=group)}
    for plugin in _plugins(study):
        from_file = plugin.origin.endswith(".py")
        if plugin.origin != "built-in" and not from_file and plugin.origin.split(".")[0] not in installed:
            return plugin
    return None


def _plugins(study: Study) -> Iterator[Plugin]:
    controls = control_arms(study)
    for entrant in [*entrants(study), *(entrant for entrant, _ in controls)]:
        yield from _plugins_of(entrant)
    for trial in [*trials(study), *(trial for _, trial in controls)]:
        yield trial.check


def _plugins_of(entrant: Entrant) -> Iterator[Plugin]:
    yield entrant.method
    yield entrant.allocation
    if entrant.counts_of is not None:
        yield from _plugins_of(entrant.counts_of)
