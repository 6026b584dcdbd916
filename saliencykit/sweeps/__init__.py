"""Grids of studies: each training with what is measured of it is a cell, computed once, anywhere.

What is done and what is missing is known by the cache alone. `grid` reads a file into cells,
`cells` says what one is, `local` and `slurm` compute them, `sweeping` does all this for the command
line. Nothing here judges: notebooks read what cells have left in the cache.
"""
