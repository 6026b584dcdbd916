"""Odd, damaged and hostile inputs by seed, each with its right answer; one module a kind."""
