"""What KubeRay's own schema says of a manifest: unknown fields, wrong types, absent fields.

The definition belongs to KubeRay and is not part of this repository: ``ray.io_rayjobs.yaml`` in the folder
``helm-chart/kuberay-operator/crds`` of github.com/ray-project/kuberay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def problems(manifest: dict[str, Any], definition: Path) -> list[str]:
    """Each with the path of its field. Fields that the schema does not list are problems too: Kubernetes would drop
    them without a word."""
    from jsonschema import Draft202012Validator

    found = yaml.safe_load(definition.read_text(encoding="utf-8"))
    _, version = manifest["apiVersion"].split("/")
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in found["spec"]["versions"] if v["name"] == version]
    validator = Draft202012Validator(_closed(schema))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(manifest)]


def _closed(schema: Any) -> Any:
    """*schema* without room for fields that it does not list; of the metadata it lists none."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        closed["type"] = ["integer", "string"]
    if isinstance(schema.get("properties"), dict) and "type" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed
