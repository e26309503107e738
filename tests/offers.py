"""Calling a plug-in as the framework does: by name, with what it asks for and nothing else."""

from __future__ import annotations

from typing import Any

from prunecheck.pruning import Allocation, Check, Method


def ask(plugin: Method | Allocation | Check, **offers: Any) -> Any:
    return plugin(**{name: offers[name] for name in plugin.asks})
