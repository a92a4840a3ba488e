"""Measurements of speed and memory: `python -m benchmarks` (see docs/benchmarks.md)."""
