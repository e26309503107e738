"""The desk: parse, call, print. No logic."""

from prunecheck.cli.main import main

__all__ = ["main"]
