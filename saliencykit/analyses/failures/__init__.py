"""Where models fail, and what helps (notebook 06)."""
