"""Computing a share of a study again, to see that the bytes are the same."""

from __future__ import annotations

from pathlib import Path

from prunecheck.cli.console import err, note, print_json
from prunecheck.cli.studies import DEFAULTS, Options, Out, Quiet, Workers


def verify(
    study: Path,
    *,
    rerun: str = "5%",
    seed: int = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    out: Out = None,
    options: Options = DEFAULTS,
) -> int:
    """Compute a random share of a study's finished steps again and compare every byte. Exit 3 on any difference.

    `prunecheck report` then shows the outcome under provenance. `prunecheck cache verify` only hashes what is there.

    Example: prunecheck verify study.toml --rerun 10%

    Parameters
    ----------
    study
        The study file.
    rerun
        Share of the finished steps: 5% or 0.05, at least one step.
    seed
        Draws the steps; another seed draws others.
    workers
        Processes to compute in (default: one per core).
    """
    from prunecheck import api
    from prunecheck.cli.cache import opened
    from prunecheck.runner.progress import Progress
    from prunecheck.runner.verify import parse_share
    from prunecheck.runner.verify import rerun as again
    from prunecheck.runner.workspace import Workspace
    from prunecheck.study import load_study

    share, checked = parse_share(rerun), load_study(study, options.set)
    progress = Progress(None if quiet else err())
    workspace = Workspace(opened(options.store), out or Path("runs") / checked.name)
    found = again(checked, workspace, share, seed, workers or api.usable_cores(), progress)
    if options.json:
        print_json(found.to_dict())
    else:
        print(found.sentence)
        for title in found.different:
            note(f"different: {title}")
        for title, why in found.failed.items():
            note(f"failed: {title}: {why}")
    return 0 if found.ok else 3
