"""Losses, trainer. Nothing that ships the main job imports it."""
