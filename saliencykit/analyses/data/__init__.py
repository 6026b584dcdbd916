"""What was shown, and where people looked (notebook 00)."""
