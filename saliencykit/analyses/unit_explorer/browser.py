"""The unit explorer's controls: choose a unit, see it, ask for the next; bring an own image."""

from html import escape
from pathlib import Path
from typing import TypedDict, Unpack

import ipywidgets as widgets
import numpy as np
import pandas as pd
from PIL import Image
from skimage import data as examples
from torch import Tensor

from ...dissection.report import NUMBER, ORDERS, SELECTIVITY, sorted_units, unit_profile
from ...reading.pictures import as_image, read_image
from ...registry import check_name
from ...viewing.controls import Panel, slider
from ...viewing.pictures import Picture, side_by_side, stacked
from ...viewing.style import label
from .figures import GAP, UnitExplorer

ANY = "any category"
EXAMPLES = ("astronaut", "chelsea", "coffee", "rocket", "text")
"""Photographs that scikit-image brings along."""

LARGEST = 1600  # pixels: own images are made no larger
LONGEST = 100  # MiB: of files that are longer none is read

AS_WIDE_AS_ITS_TEXT = widgets.Layout(width="auto")


class First(TypedDict, total=False):
    """What controls start with."""

    model: str
    beside: str
    layer: str
    category: str | None
    image: int
    threshold: float
    regions: bool
    fixations: bool


class Instrument:
    """Controls over the pictures of a `UnitExplorer`; `widget()` is what a notebook shows.

    Choosing a place in an order of units, typing a unit's number, asking for the best unit of a
    category: all set the control "unit", which the pictures follow. first: values to start with,
    by default the first two networks and no category. Raises UnknownNameError.
    """

    def __init__(self, explorer: UnitExplorer, **first: Unpack[First]):
        self.explorer = explorer
        self.controls = _controls(explorer, first)
        self.order = widgets.Dropdown(options=ORDERS, value=SELECTIVITY, description="sort by")
        self.place = slider(1, first=1, value=1)
        self.place.description = "place"
        self.jump = widgets.Button(
            description="best unit of all layers", layout=AS_WIDE_AS_ITS_TEXT
        )
        choices = [("…", ""), *((name, name) for name in EXAMPLES)]
        self.example = widgets.Dropdown(options=choices, description="example")
        self.upload = widgets.FileUpload(accept="image/*", description="own image")
        self.units: list[int] = []
        self._connect()  # before the panel does: it draws what is left when we have answered
        e = explorer  # its pictures are set in pairs, in a narrow window one below the other
        views = e.looked_at, e.over_image, e.by_category, e.top_images, e.maps
        self.panel = Panel(self.controls, *views)
        self._reordered()

    def _connect(self) -> None:
        for name in ("model", "beside", "layer", "category"):
            self.controls[name].observe(self._reordered, "value")
        self.order.observe(self._reordered, "value")
        self.place.observe(self._placed, "value")
        self.controls["unit"].observe(self._typed, "value")
        self.jump.on_click(lambda _: self.best())
        self.example.observe(self._chosen, "value")
        self.upload.observe(self._uploaded, "value")

    def _reordered(self, _: object = None) -> None:
        """Sort the units anew, and stay at the same place in the order; by number, at the unit."""
        model, beside, layer, category, unit = (
            self.controls[name].value for name in ("model", "beside", "layer", "category", "unit")
        )
        results = self.explorer.results
        with self.panel.together():
            place = unit + 1 if self.order.value == NUMBER else self.place.value
            self.units = sorted_units(
                results[model], layer, self.order.value, category, results[beside]
            )
            self.place.max = len(self.units)
            self.controls["unit"].max = len(self.units) - 1
            self.place.value = min(place, len(self.units))
            self.controls["unit"].value = self.units[self.place.value - 1]

    def _placed(self, change: dict) -> None:
        self.controls["unit"].value = self.units[change["new"] - 1]

    def _typed(self, change: dict) -> None:
        self.place.value = self.units.index(change["new"]) + 1

    def best(self) -> None:
        """Go to the unit, of all layers, that is most selective for the chosen category."""
        model, category = (self.controls[name].value for name in ("model", "category"))
        layer, _ = self.explorer.best(model, category)
        with self.panel.together():
            self.order.value, self.controls["layer"].value = SELECTIVITY, layer
            self.place.value = 1

    def show(self, name: str, image: Tensor) -> None:
        """Show the networks an image of one's own, uint8 (3, H, W), and then the user."""
        number = self.explorer.add(name, image)
        self.controls["image"].max = number
        self.controls["image"].value = number

    def _chosen(self, change: dict) -> None:
        if change["new"]:
            self.show(change["new"], as_image(getattr(examples, change["new"])()))

    def _uploaded(self, change: dict) -> None:
        for file in change["new"]:
            try:
                self.show(file["name"], decoded(file["name"], bytes(file["content"])))
            except Exception as error:
                self.panel.said.value = f"<b>{escape(str(error))}</b>"
                if not isinstance(error, ValueError):
                    raise

    def shown(self) -> pd.DataFrame:
        """Return the bars' numbers, a row a network and category.

        encoder, layer, unit, category, value, low, high (of the first training, over images),
        "training 1" …: the same unit in each.
        """
        model, beside, layer, unit = (
            self.controls[name].value for name in ("model", "beside", "layer", "unit")
        )
        parts = []
        for name in dict.fromkeys([model, beside]):
            table = unit_profile(self.explorer.results[name], layer, unit)
            each = self.explorer.singles(name, layer, unit).reset_index(drop=True)
            where = {"encoder": name, "layer": layer, "unit": unit}
            parts.append(pd.DataFrame({**where, **table, **each}))
        return pd.concat(parts, ignore_index=True)

    def picture(self) -> Picture:
        """Return all pictures as one: what a headless run shows, and a browser at first."""
        drawn = [view(**self.panel.values(view)) for view in self.panel.views]
        rows = [side_by_side(drawn[k : k + 2], GAP) for k in range(0, len(drawn), 2)]
        return stacked(rows, GAP)

    def widget(self) -> widgets.VBox:
        """Controls over pictures."""
        c, images = self.controls, self.panel.images
        rows = [
            [c["model"], c["beside"], c["category"], c["layer"]],
            [self.order, self.place, c["unit"], self.jump],
            [c["image"], c["threshold"], self.example, self.upload, c["regions"], c["fixations"]],
        ]
        wrap = widgets.Layout(flex_flow="row wrap", align_items="center")
        return widgets.VBox(
            [
                *(widgets.HBox(row, layout=wrap) for row in rows),
                *(widgets.HBox(images[k : k + 2], layout=wrap) for k in range(0, len(images), 2)),
                self.panel.said,
            ]
        )


def _controls(explorer: UnitExplorer, first: First) -> dict[str, widgets.Widget]:
    names, layers = list(explorer.encoders), explorer.layers
    categories = [(ANY, None), *((label(c), c) for c in explorer.categories)]
    titled = [(explorer.title(name), name) for name in names]
    made = {
        "model": widgets.Dropdown(options=titled),
        "beside": widgets.Dropdown(options=titled),
        "layer": widgets.SelectionSlider(options=layers, continuous_update=False),
        "category": widgets.Dropdown(options=categories),
        "unit": widgets.BoundedIntText(max=0),
        "image": slider(len(explorer.data) - 1),
        "threshold": widgets.FloatSlider(value=1.5, max=4, step=0.25, continuous_update=False),
        "regions": widgets.Checkbox(value=False, indent=False, layout=AS_WIDE_AS_ITS_TEXT),
        "fixations": widgets.Checkbox(value=False, indent=False, layout=AS_WIDE_AS_ITS_TEXT),
    }
    values = {"model": names[0], "beside": names[:2][-1], "layer": explorer.layer, **first}
    for name in ("model", "beside"):
        check_name("network", values[name], names)
    check_name("layer", values["layer"], layers)
    if values.get("category") is not None:
        check_name("category", values["category"], explorer.categories)
    for name, value in values.items():
        made[name].value = value
    return made


def decoded(name: str, content: bytes) -> Tensor:
    """Return an image file's `content` as uint8 (3, H, W), upright, at most `LARGEST` on a side.

    Raises ValueError, naming the file, if it is no image, or longer than `LONGEST`.
    """
    if len(content) > LONGEST << 20:
        raise ValueError(f"{name} takes {len(content) >> 20} MiB; {LONGEST} are the most.")
    picture = Image.fromarray(read_image(Path(name), content).permute(1, 2, 0).numpy())
    picture.thumbnail((LARGEST, LARGEST))
    return as_image(np.array(picture))
