"""Which kinds of search are efficient for people, and who showed it.

Efficient is a search whose time hardly grows with the number of items: the target pops out. That is
said of targets well above threshold. Between a target and distractors that are hardly told apart
every search is slow (Duncan & Humphreys 1989, Psychological Review 96, 433–458), so a kind's
smallest `difference` need not pop out. Nothing here takes part in the drawing of arrays.

Wolfe, J. M. (1998), "Visual search", in Pashler (ed.), Attention, 13–73; Wolfe & Horowitz 2017,
Nature Human Behaviour 1, 0058.
"""

from typing import NamedTuple

import pandas as pd

EFFICIENT, INEFFICIENT = "efficient", "inefficient"


class Finding(NamedTuple):
    """What is known of people's search of one kind: whether it is efficient, and the source."""

    efficient: bool
    source: str


FEATURE = "Treisman & Gelade 1980; Wolfe & Horowitz 2017"
LETTERS = "Treisman & Souther 1985, J. Exp. Psychology: General 114, 285–310"
LINES = "Treisman & Gormican 1988, Psychological Review 95, 15–48"
SLANTS = "Carrasco et al. 1998, Vision Research 38, 347–374"

BY_PEOPLE = {
    "colour": Finding(True, FEATURE),
    "orientation": Finding(True, f"{FEATURE}; from some 15° on, Foster & Ward 1991"),
    "size": Finding(True, f"{LINES}; Wolfe & Horowitz 2017"),
    "shape": Finding(True, "Kristjánsson & Tse 2001, Perception & Psychophysics 63, 390–403"),
    "brightness": Finding(True, f"{LINES}: more contrast among less"),
    "conjunction": Finding(False, "Treisman & Gelade 1980, Cognitive Psychology 12, 97–136"),
    "q_among_o": Finding(True, LETTERS),
    "o_among_q": Finding(False, LETTERS),
    "tilted_among_vertical": Finding(True, LINES),
    "vertical_among_tilted": Finding(False, f"{LINES}; {SLANTS}"),
}
"""By `FEATURES`' name. Features that are there and deviations from the standard pop out, those that
are missing and the standard do not; conjunctions have to be searched for, though colour guides
(Wolfe, Cave & Franzel 1989)."""


def search_of(features: pd.Series) -> pd.Series:
    """Return `EFFICIENT` or `INEFFICIENT` for each kind of search.

    Raises KeyError for a kind of which `BY_PEOPLE` says nothing.
    """
    return features.map(lambda kind: (INEFFICIENT, EFFICIENT)[BY_PEOPLE[kind].efficient])
