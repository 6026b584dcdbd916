"""Pre-trained units and what a layer knows, beside untrained networks: notebook 02."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...dissection.controls import ALL, singles
from ...intervals import RATE
from ...models import stimuli
from ...study import Study
from ...viewing.activity import seen
from ...viewing.pictures import at_region, gallery
from ...viewing.plots import (
    at_threshold,
    by_root,
    level,
    name_rows,
    only,
    over_layers,
    panels,
    points,
    row_panels,
    trace,
    unique,
)
from ...viewing.style import AFTER, BEFORE, CONTROL, WIDTH, label, legend
from ...viewing.units import SHARES, present
from .tables import PRETRAINED

UNTRAINED = "untrained: mean, and each"
FAINT = {"color": CONTROL, "alpha": 0.45}


def best_named(best: float) -> str:
    """Return "the best 10 % of units" or "the 10 best units"."""
    return f"the best {100 * best:g} % of units" if best < 1 else f"the {best:g} best units"


def by_layer(table: pd.DataFrame, layer: str) -> Figure:
    """Draw best units over layers: a panel a category, `layer` shaded. table: `best_beyond`."""
    categories, layers = present(table, "own"), unique(table, "layer")
    what = f"mean region NSS of {best_named(table['best'].iloc[0])}"
    figure, axes = panels([label(c) for c in categories], "", what)
    for axis, category in zip(axes, categories, strict=True):
        _over_layers(axis, only(table, category=category), layers, layer)
        level(axis)
    return legend(figure, axes[0])


def _over_layers(axis: Axes, rows: pd.DataFrame, layers: Sequence[str], layer: str) -> None:
    """Draw one category's numbers over layers, controls one by one and their mean."""
    place = np.arange(len(layers))
    axis.plot(place, singles(rows), lw=0.6, **FAINT)
    axis.plot(place, rows["controls"], color=CONTROL, lw=1.8, label=UNTRAINED)
    own = rows.rename(columns={"own_low": "low", "own_high": "high"})
    trace(axis, place, own, "own", BEFORE, PRETRAINED)
    over_layers(axis, layers, layer, step=max(1, len(layers) // 6))


def best_units(table: pd.DataFrame) -> Figure:
    """Draw best units at one layer, and the difference for each choice of how many they are.

    table: `tables.best`; the first choice is the one whose units are drawn at the left.
    """
    choices = unique(table, "best")
    first = only(table, best=choices[0])
    categories = present(first, "own")
    labels = [f"mean region NSS of {best_named(choices[0])}", "pre-trained minus untrained"]
    figure, axes, places = row_panels(categories, labels, [3, 2])
    _beside_controls(axes[0], first.set_index("category").loc[categories], places)
    for shift, choice in zip((0.13, -0.2), choices, strict=False):
        rows = only(table, best=choice).set_index("category").loc[categories]
        name = best_named(choice)
        _differences(axes[1], rows, places + shift, name, filled=choice == choices[0])
    legend(figure, axes[0], "left")
    return legend(figure, axes[1])


def _beside_controls(axis: Axes, rows: pd.DataFrame, places: pd.Series) -> None:
    """Draw a network's numbers above those of its controls, a row a category."""
    points(axis, rows, places + 0.15, "own", BEFORE, PRETRAINED)
    for _, control in singles(rows).items():
        axis.plot(control, places - 0.15, "|", ms=7, **FAINT)
    axis.plot(rows["controls"], places - 0.15, "o", color=CONTROL, ms=5, label=UNTRAINED)


def _differences(
    axis: Axes, rows: pd.DataFrame, places: pd.Series, name: str, filled: bool
) -> None:
    """Draw differences, in colour where they hold after correction."""
    sure = rows["p_adjusted"] <= RATE
    for colour, kind in {AFTER: sure, "0.6": ~sure}.items():
        fill = None if filled else "white"
        size = 5.0 if filled else 3.5
        points(axis, rows[kind], places[kind], "difference", colour, size=size, fill=fill)
    look = {"color": "0.3", "mfc": None if filled else "white", "ms": 5.0 if filled else 3.5}
    axis.plot([], [], "o", label=name, **look)


def units_above(table: pd.DataFrame, threshold: float) -> Figure:
    """Draw how many units exceed T, swept: a panel a category. table: `dissection.counts`."""
    categories = present(table, "units")
    figure, axes = panels(
        [label(c) for c in categories], "threshold T on region NSS", "units above T (%, root scale)"
    )
    for axis, category in zip(axes, categories, strict=True):
        rows = only(table, category=category)
        wide = 100 * rows.pivot(index="threshold", columns="encoder", values="share")
        controls = wide.drop(columns=PRETRAINED)
        axis.plot(controls, lw=0.6, **FAINT)
        axis.plot(controls.mean(axis=1), color=CONTROL, lw=1.8, label=UNTRAINED)
        axis.plot(wide[PRETRAINED], color=BEFORE, lw=1.8, label=PRETRAINED)
        at_threshold(axis, threshold)
        by_root(axis, SHARES, "{:g}")
    reached = table.loc[table["units"] > 0, "threshold"].max()
    axes[0].set_xlim(0, max(threshold, reached) + 0.25)
    return legend(figure, axes[0])


def decoding(table: pd.DataFrame, layer: str) -> Figure:
    """Draw linear decoding: over layers at the left, by category at `layer` at the right.

    table: `decoding_beyond`.
    """
    layers, share = unique(table, "layer"), {"own", "own_low", "own_high", "controls"}
    shown = [c for c in table if c in share or c in singles(table)]
    table = table.assign(**100 * table[[*shown, "chance"]])
    here = only(table, layer=layer).set_index("category")
    categories = [c for c in here.index[here["own"].notna()] if c != ALL]
    size = (WIDTH, max(3.2, 0.3 * len(categories) + 1.2))
    figure, (left, right) = plt.subplots(1, 2, figsize=size, width_ratios=[1, 1.2])
    _over_layers(left, only(table, category=ALL), layers, layer)
    left.set_ylabel("balanced accuracy (%)")
    places = name_rows(right, categories)
    _beside_controls(right, here.loc[categories], places)
    right.set_xlabel(f"regions named rightly at {layer} (%)")
    chance = float(here["chance"].iloc[0])
    for axis, upright in ((left, False), (right, True)):
        level(axis, chance, upright)
    where = {"xytext": (2, 2), "textcoords": "offset points"}
    left.annotate("chance", (0, chance), **where, fontsize="small", color="0.45")
    return legend(figure, left)


def unit_pictures(table: pd.DataFrame, study: Study, threshold: float) -> Figure:
    """Draw one image, a column a region; below, a row a layer, the unit that answers best there.

    table: `tables.best_at_regions`. The image is lit where the unit exceeds its mean, with a line
    where it exceeds `threshold`. Outlined in white: the region; dots: the fixations in it, over
    which region NSS is the mean.
    """
    data = study.annotated
    image, layers = table["image"].iloc[0], unique(table, "layer")
    i, alone = data.names.index(image), stimuli(data.subset([image]), study.size)
    found = seen(alone.tensors["images"], {PRETRAINED: study.pretrained}, layers)
    first = only(table, layer=layers[0])
    rows = [[at_region(data, i, number) for number in first["region"]]]
    notes = [[f"{count} fixations" for count in first["fixations"]]]
    for layer in layers:
        best = list(only(table, layer=layer).itertuples())
        maps = [found.unit(PRETRAINED, layer, one.unit, 0) for one in best]
        drawn = zip(best, maps, strict=True)
        rows.append([at_region(data, i, one.region, values, threshold) for one, values in drawn])
        notes.append(
            [f"unit {one.unit}: {one.value:.1f} (untrained: {one.untrained:.1f})" for one in best]
        )
    titles = [label(category) for category in first["category"]]
    names = [image, *(f"{layer}:\nbest unit\nthere" for layer in layers)]
    return gallery(rows, titles, notes, names)
