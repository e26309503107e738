"""The margin is written down before any corrupted arm is seen, and stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from prunecheck.errors import StudyError
from prunecheck.statistics import Settings
from prunecheck.store.durable import plainly, write_file

NAME = "margin.json"


def fixed_margin(folder: Path, dense: list[float], n_test: int, settings: Settings, *, write: bool = True) -> Settings:
    """*settings* with the margin of this study: the one written in *folder*, else the one that the rule (or the study
    file) gives now, which is then written (unless dense runs are still to come: ``write=False``). Where the study file
    asks for another than the one written down, the report shows both."""
    from prunecheck.statistics import settle_margin

    path = folder / NAME
    written = _read(path)
    now = settle_margin(dense, n_test, chance=settings.chance, override=settings.margin)
    if written is None:
        if write:
            with plainly(folder):
                folder.mkdir(parents=True, exist_ok=True)
            facts = {"margin": now.points, "rule": now.rule, "dense_accuracies": dense, "n_test": n_test}
            write_file(path, json.dumps(facts, indent=2).encode())
        return replace(settings, margin=now.points, margin_rule=now.rule)
    points, rule = written
    if settings.margin is not None and abs(settings.margin - points) > 1e-9:
        return replace(settings, margin_was=points)
    return replace(settings, margin=points, margin_rule=rule)


def _read(path: Path) -> tuple[float, str] | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return float(facts["margin"]), str(facts["rule"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StudyError(f"{path} is damaged ({error}); it holds the margin fixed before results were seen.") from None
