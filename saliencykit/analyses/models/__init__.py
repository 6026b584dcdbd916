"""Networks, classical models, and what to compare them with (notebook 01)."""
