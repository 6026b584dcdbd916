"""Preferences planted in real photographs (notebook 11)."""
