"""What becomes of the rows of a table."""

KEPT = "kept"
OTHER_KIND = "of another kind than fixations"
NO_IMAGE = "without an image"
UNKNOWN = "on images that are not in the folder"
REPEATED = "that repeat a fixation, being samples of it"
OTHER_EYE = "of the other eye, this one's being there"
NO_EYE = "without an eye, where both were recorded"
FIRST = "first fixations, dropped as asked"
LOST = "without a position, or with a code in its place: blinks and lost samples"
OFF_SCREEN = "outside the screen"
OFF_IMAGE = "outside the image"
FATES = (
    *(KEPT, OTHER_KIND, NO_IMAGE, UNKNOWN, OTHER_EYE, NO_EYE, REPEATED, FIRST),
    *(LOST, OFF_SCREEN, OFF_IMAGE),
)
"""What becomes of a row."""
