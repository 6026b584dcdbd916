"""The interactive instrument (notebook 09)."""
