"""The command that submits a study to a cluster."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from prunecheck import api
from prunecheck.cli.console import note, print_json
from prunecheck.cli.options import DEFAULTS, EngineName, Flag, Options, Out
from prunecheck.cli.plan import read_study

Positive = Annotated[int, Parameter(validator=Number(gte=1))]
Several = Parameter(consume_multiple=False, negative="", show_default=False)


def submit(
    study: Path,
    *,
    jobs: Positive = 1,
    cpus: Positive = 1,
    gpus: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    time: str = "",
    after: Annotated[tuple[str, ...], Several] = (),
    sbatch: Annotated[tuple[str, ...], Several] = (),
    engine: EngineName = "local",
    dry_run: Flag = False,
    out: Out = None,
    options: Options = DEFAULTS,
) -> None:
    """Submit a study to Slurm: runs that share the store, stop before their time limit, and go on in their next slot.

    The store and the results must be on a folder that all nodes share.

    Example: prunecheck submit study.toml --jobs 8 --cpus 16 --time 04:00:00 --sbatch=--partition=cpu --dry-run

    Parameters
    ----------
    study
        The study file.
    jobs
        Number of runs (an array of jobs); with --engine ray the nodes of one Ray cluster.
    cpus
        Cores of each, and so its worker processes.
    gpus
        GPUs of each.
    time
        Time limit of one slot as Slurm writes it, such as 04:00:00 (default: the partition's).
    after
        Number of a job that must have succeeded before; may be given several times.
    sbatch
        A further option of sbatch, such as --sbatch=--partition=gpu; may be given several times.
    dry_run
        Print the script and submit nothing.
    """
    from prunecheck.runner import slurm
    from prunecheck.runner.tasks import task_of

    checked = read_study(study, options)
    if checked.device == "cpu":  # a login node need not have a GPU
        task_of(checked).before(checked)
    workspace = api.workspace_of(checked, options.store, out)
    workers = [] if engine == "ray" else ["--workers", str(max(1, gpus) if checked.device != "cpu" else cpus)]
    command = [sys.executable, "-m", "prunecheck", "run", str(study.resolve()), "--quiet", "--engine", engine, *workers]
    command += [word for item in options.set for word in ("--set", item)]
    command += ["--store", str(workspace.store.root), "--out", str(workspace.folder)]
    names = ("PRUNECHECK_DATA", "PYTHONPATH")
    job = slurm.Job(
        name=checked.name,
        command=command,
        log=workspace.folder,
        jobs=jobs,
        cpus=cpus,
        gpus=gpus,
        time=time,
        after=after,
        extra=sbatch,
        ray=engine == "ray",
        variables={name: os.environ[name] for name in names if name in os.environ},
    )
    text = slurm.script(job)
    if dry_run:
        print(text, end="")
        return
    workspace.folder.mkdir(parents=True, exist_ok=True)  # Slurm writes its log there before the first run
    number = slurm.submit(text)
    if options.json:
        print_json({"job": number, "script": text})
    else:
        print(f"job {number} submitted")
        follow = shlex.join(["prunecheck", "status", str(study), "--store", str(workspace.store.root)])
        note(f"Follow it: {follow} --out {shlex.quote(str(workspace.folder))}")
