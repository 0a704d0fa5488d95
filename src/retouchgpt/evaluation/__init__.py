"""Metrics and benchmarks. Nothing that ships the main job imports it."""
