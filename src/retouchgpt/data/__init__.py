"""Painted imperfections, before/after pairs, dialogues. Nothing that ships the main job imports it."""
