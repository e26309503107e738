"""Benchmarks: ``python -m benchmarks`` prints ratios, never bare seconds, from runs that took turns."""
