"""How much of what people do layers explain, in bits, and where all of them fail (notebook 12)."""
