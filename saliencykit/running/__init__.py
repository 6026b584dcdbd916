"""Running the notebooks headlessly: which, with what, side by side, and the same as before?

Imports none of the rooms: `notebooks` is the way in, and no analysis happens here.
"""
