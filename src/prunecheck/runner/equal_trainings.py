"""Trainings that cannot differ although their keys do: of two methods that chose the same mask.

A key is made before any mask is known. Once the masks are in the store, two trainings with equal parameters, equal
masks and equal starting weights are one computation: the second takes the files of the first.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from prunecheck.store import Damaged, Missing, Store
from prunecheck.study.step import Step, canonical


class EqualTrainings:
    """``steps``: of the whole plan, those finished earlier included."""

    def __init__(self, steps: Mapping[str, Step], store: Store) -> None:
        self._steps, self._store = steps, store
        self._same: dict[str, list[str]] = {}
        """content -> keys of trainings with it"""
        self._groups: dict[str, list[Step]] = {}
        """parameters -> trainings with them that were not looked at yet"""
        for step in steps.values():
            if step.kind == "train":
                self._groups.setdefault(canonical(step.params), []).append(step)

    def original(self, step: Step, running: Container[str]) -> str | None:
        """The key of a training equal to *step* that is finished or among the *running* ones; None where there is none.
        The inputs of *step* must be in the store."""
        content = self._content(step)
        if content is None:
            return None
        self._look_at_finished(step)
        keys = self._same.setdefault(content, [])
        if step.key not in keys:
            keys.append(step.key)
        return next((key for key in keys if key != step.key and (key in running or self._store.has(key))), None)

    def copy(self, original: str, step: Step) -> bool:
        """Commit the files of *original* under the key of *step*. False where *original* is damaged or gone."""
        try:
            files = {name: self._store.read(original, name) for name in self._store.names(original)}
        except (Damaged, Missing):
            return False
        self._store.commit(step.key, files)
        return True

    def _look_at_finished(self, step: Step) -> None:
        group = self._groups.pop(canonical(step.params), [])
        absent = self._store.missing(one.key for one in group)
        for one in group:
            content = self._content(one) if one.key not in absent else None
            if content is not None:
                self._same.setdefault(content, []).append(one.key)

    def _content(self, step: Step) -> str | None:
        """All that the result depends on, with what the inputs hold in place of their keys. None for other steps than
        trainings and where an input cannot be read, and for trainings on what a check has changed: the control
        ``identity`` trains on an equal mask to find out whether equal trainings give equal results."""
        if step.kind != "train":
            return None
        files = {"masks": "masks.safetensors", "start": f"{step.params.get('file', '')}.safetensors"}
        inputs = {}
        for role, key in step.inputs.items():
            source = self._steps.get(key)
            if source is None or source.kind == "corrupt":
                return None
            try:
                inputs[role] = self._store.entries(key)[files[role]].sha256 if role in files else key
            except (Damaged, Missing, KeyError):
                return None
        return canonical({**step.identity, "inputs": inputs})
