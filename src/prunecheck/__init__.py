"""Placebo-controlled trials for pruning methods."""
