"""Imports everything once and forks a process for every command, so that a command need not wait for torch and can be
killed at any moment.

One JSON order a line: ``{"run": [words], "folder": …, "limit": bytes or null}`` answers the process id, ``{"wait":
id}`` its exit status (negative: the signal).
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

import torch

import prunecheck.runner.study_run
import prunecheck.steps  # noqa: F401
from prunecheck.cli import main
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS


def command(order: dict[str, Any]) -> None:
    os.chdir(order["folder"])
    os.environ["PRUNECHECK_HOME"] = "store"
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if order["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
    sys.argv = ["prunecheck", *order["run"]]
    code = main(order["run"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for registry in (METHODS, CHECKS, ALLOCATIONS):
        registry.names()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            try:
                command(order)
            finally:
                os._exit(99)
        print(child, flush=True)
