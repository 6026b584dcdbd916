"""What each notebook says: one folder a notebook, named as it is; none imports another.

In each, as far as it has them: `tables` (numbers), `figures`, `sentences` (text made from the
numbers, so that it cannot contradict them) and `browser` (what its sliders move).
"""
