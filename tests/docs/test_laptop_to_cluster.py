"""The page "from a laptop to a cluster": its manifest, and its commands on Ray where that is installed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from prunecheck.cli.app import build
from tests.docs.blocks import DOCS, blocks
from tests.docs.kuberay_schema import problems
from tests.runner import tiny

KUBERAY = "KUBERAY_RAYJOB_SCHEMA"
"""environment variable"""
PAGE = (DOCS / "how-to" / "laptop-to-cluster.md").read_text(encoding="utf-8")


def test_manifest_of_kubernetes_is_a_rayjob_whose_command_exists() -> None:
    (text,) = [block.text for block in blocks(PAGE) if block.kind == "yaml"]
    manifest = yaml.safe_load(text)
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    program, *words = shlex.split(manifest["spec"]["entrypoint"])
    assert program == "prunecheck"
    command, bound, _ = build().parse_args(words, exit_on_error=False, print_error=False)
    assert command.__name__ == "run"
    assert bound.arguments["engine"] == "ray"
    cluster = manifest["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())  # KubeRay refuses numbers
    folder = container["volumeMounts"][0]["mountPath"]
    assert all(str(bound.arguments[name]).startswith(folder) for name in ("study", "out"))


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.timeout(600)
def test_the_study_of_the_page_has_the_same_bytes_on_ray_and_in_this_process(tmp_path: Path) -> None:
    (study,) = [block.text for block in blocks(PAGE) if block.file == "study.toml"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    for engine in ("local", "ray"):
        folder = tmp_path / engine
        folder.mkdir()
        (folder / "study.toml").write_text(study)
        command = ["run", "study.toml", "--engine", engine, "--workers", "1" if engine == "local" else "2"]
        done = subprocess.run(
            [sys.executable, "-m", "prunecheck", *command, "--store", "store", "--out", "out"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert tiny.objects(tmp_path / "ray") == tiny.objects(tmp_path / "local")
    names = ["results.csv", "verdicts.json"]
    assert [(tmp_path / "ray" / "out" / name).read_bytes() for name in names] == [
        (tmp_path / "local" / "out" / name).read_bytes() for name in names
    ]


@pytest.mark.skipif(KUBERAY not in os.environ, reason=f"${KUBERAY} does not name KubeRay's ray.io_rayjobs.yaml")
def test_manifest_of_kubernetes_follows_the_schema_of_kuberay() -> None:
    (text,) = [block.text for block in blocks(PAGE) if block.kind == "yaml"]
    definition = Path(os.environ[KUBERAY])
    assert problems(yaml.safe_load(text), definition) == []
    wrong = yaml.safe_load(text)
    wrong["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replica"] = "4"
    wrong["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    del wrong["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    found = "\n".join(problems(wrong, definition))
    assert "'replica' was unexpected" in found
    assert "0 is not of type 'string'" in found
    assert "'template' is a required property" in found
