"""Who finds the odd one out (notebook 04)."""
