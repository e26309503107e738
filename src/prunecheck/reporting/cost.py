"""What a study cost: trainings run, shared between arms, spared."""

from __future__ import annotations

from collections.abc import Mapping

from prunecheck.reporting.text import count, whole


def cost_sentence(cost: Mapping[str, object]) -> str:
    """How many trainings, and what sharing and adaptive seeds saved; empty where the cost does not say."""
    ran, shared, spared = (
        _whole(cost, key) for key in ("trainings", "trainings shared", "trainings spared by adaptive seeds")
    )
    if ran is None:
        return ""
    parts = [f"{count(ran, 'training')} in all."]
    if shared:
        parts.append(f"{count(shared, 'more training')} would have been needed without sharing between arms.")
    every = _whole(cost, "trainings with every seed everywhere")
    if spared and every:
        parts.append(
            f"{whole(spared)} of {count(every, 'training')} were spared: more seeds came only where a verdict was open."
        )
    return " ".join(parts)


def _whole(cost: Mapping[str, object], key: str) -> int | None:
    value = cost.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def cost_items(cost: Mapping[str, object]) -> list[tuple[str, str]]:
    """Cost as words: whole numbers with commas, seconds as time."""
    items = []
    for key, value in cost.items():
        if key == "seconds" and isinstance(value, (int, float)):
            items.append(("time", duration(value)))
        elif isinstance(value, int) and not isinstance(value, bool):
            items.append((key.replace("_", " "), whole(value)))
        elif isinstance(value, float):
            items.append((key.replace("_", " "), f"{value:g}"))
        else:
            items.append((key.replace("_", " "), str(value)))
    return items


def duration(seconds: float) -> str:
    """``5025 -> '1 h 24 min'``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(minutes, 60)
    return f"{whole(hours)} h {minutes} min" if hours else f"{minutes} min {rest} s"
