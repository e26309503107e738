"""When the ordinary dense path is the right one."""

from __future__ import annotations


class Dense(Exception):
    """Train this network densely. ``reason``: why, in one sentence without a full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
