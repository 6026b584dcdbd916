"""The networks of notebook 02, their best units at one layer, and how many directions they span."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ...dissection import Dissection, best_beyond, unit_dimensions_cached
from ...dissection.controls import units_of
from ...models import Encoder
from ...study import Study

PRETRAINED = "pre-trained"
PICTURED = ("conv4_3", "conv5_1")  # of VGG-16, whose units the paper shows
BEST_AT_REGIONS = ["image", "layer", "category", "region", "fixations", "unit", "value",
                   "untrained", "untrained_most"]  # fmt: skip


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


def picture_layers(study: Study) -> list[str]:
    """Return the layers of the paper's picture, if dissected; else the study's and the deepest."""
    found = [layer for layer in PICTURED if layer in study.dissected]
    chosen = found if len(found) == len(PICTURED) else {study.layer, study.dissected[-1]}
    return [layer for layer in study.dissected if layer in chosen]


def best_at_regions(
    own: Dissection, controls: Sequence[Dissection], layers: Sequence[str], most: int = 4
) -> pd.DataFrame:
    """Return, of each region of one image, the unit of each of `layers` that answers best there.

    Of an image's regions those that were looked at most are taken, one a category (any, where there
    is but one category), `most` at most; the image is the one with the most of them, and of such
    the one whose least looked at region was looked at most. Columns: image, layer, category, region
    (its number in the image), fixations, unit, value (its region NSS there), untrained (the mean
    over `controls` of their best units'), untrained_most (the highest of these).
    """
    regions = own.regions.assign(region=own.regions.groupby("image").cumcount())
    looked_at = regions.sort_values("fixations", ascending=False, kind="stable")
    looked_at = looked_at[looked_at["fixations"] > 0]
    if looked_at["category"].nunique() > 1:
        looked_at = looked_at.drop_duplicates(["image", "category"])
    chosen = looked_at.groupby("image").head(most)
    order = chosen.groupby("image")["fixations"].agg(["size", "min"])
    image = order.sort_values(["size", "min"], ascending=False, kind="stable").index[0]
    here, rows = chosen[chosen["image"] == image], []
    for layer in layers:
        for row in here.itertuples():
            scores = own.of(layer)[row.Index]
            others = [float(control.of(layer)[row.Index].max()) for control in controls]
            about = (image, layer, row.category, row.region, row.fixations)
            unit = int(scores.argmax())
            found = (unit, float(scores[unit]), sum(others) / len(others), max(others))
            rows.append((*about, *found))
    return pd.DataFrame(rows, columns=BEST_AT_REGIONS)


def dimensions(study: Study, encoders: Mapping[str, Encoder]) -> pd.Series:
    """Return each network's participation ratio at the study's layer.

    On what one training never sees: of the many places of a map fewer images tell as much.
    """
    layers, how, (*_, some) = [study.layer], {"size": study.size}, study.parts(0)
    found = {
        name: unit_dimensions_cached(encoder, some, layers, **how)[study.layer]
        for name, encoder in encoders.items()
    }
    return pd.Series(found, name="dimensions")
