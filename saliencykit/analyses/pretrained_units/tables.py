"""The networks of notebook 02, their best units at one layer, and how many directions they span."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ...dissection import Dissection, best_beyond, unit_dimensions_cached
from ...dissection.controls import units_of
from ...models import Encoder
from ...study import Study

PRETRAINED = "pre-trained"


def networks(study: Study, controls: int) -> dict[str, Encoder]:
    """Return the pre-trained network, then "untrained 1", "untrained 2" …"""
    drawn = enumerate(study.controls(controls), 1)
    return {PRETRAINED: study.pretrained, **{f"untrained {k}": net for k, net in drawn}}


def best(
    own: Dissection, controls: Sequence[Dissection], choices: Sequence[float], layer: str
) -> pd.DataFrame:
    """Return `best_beyond` at `layer` for each choice of how many units are the best.

    Of choices that come to the same number of units the first.
    """
    units = own.of(layer).shape[1]
    different = {units_of(choice, units): choice for choice in reversed(choices)}
    chosen = [choice for choice in choices if choice in different.values()]
    parts = [best_beyond(own, controls, choice, [layer]) for choice in chosen]
    return pd.concat(parts, ignore_index=True)


def dimensions(study: Study, encoders: Mapping[str, Encoder]) -> pd.Series:
    """Return each network's participation ratio at the study's layer, on its unseen images."""
    layers, how = [study.layer], {"size": study.size}
    found = {
        name: unit_dimensions_cached(encoder, study.unseen, layers, **how)[study.layer]
        for name, encoder in encoders.items()
    }
    return pd.Series(found, name="dimensions")
