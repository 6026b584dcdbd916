"""An eye tracker's table becomes a data set that `load("folder", root=…)` opens.

`columns`: which column is what. `screen`: where on the image a position is. `names`: which image
file a name in the table means. `looks`: rows, as fixations look by look. `placing`: positions, as
pixels. `fates`: what becomes of a row. `importing`: all of it, and what is said of it.
"""

from .importing import Imported, import_table
from .screen import Screen, Units

__all__ = ["Imported", "Screen", "Units", "import_table"]
