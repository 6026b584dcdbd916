"""Whether the findings hold for other networks and other photographs (notebook 10)."""
