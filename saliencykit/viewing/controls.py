"""Controls over pictures: what makes a draw function an instrument.

A draw function turns the controls' values into a picture (an array); the image on the page is
replaced in place, and no network runs while a slider moves.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from inspect import signature

import ipywidgets as widgets
from IPython.display import Image as Shown

from .pictures import Picture, png
from .style import label

View = Callable[..., Picture]


def still(picture: Picture) -> Shown:
    """Return a picture as what a notebook shows."""
    return Shown(data=png(picture), format="png")


def slider(last: int, first: int = 0, value: int = 0) -> widgets.IntSlider:
    """Return an integer slider that answers when released."""
    return widgets.IntSlider(value=value, min=first, max=last, continuous_update=False)


def explore(draw: View, **controls: widgets.Widget) -> widgets.VBox:
    """Return labelled controls over a picture that `draw(**values)` makes anew in place.

    An error in `draw` is shown in words under the picture.
    """
    panel = Panel(controls, draw)
    return widgets.VBox([widgets.HBox(list(controls.values())), *panel.images, panel.said])


class Panel:
    """Pictures that follow controls: an image for each view, and a line for what goes wrong.

    A view is drawn anew when a control that it has a parameter for changes. Controls without a
    description get their name.
    """

    def __init__(self, controls: Mapping[str, widgets.Widget], *views: View):
        self.controls, self.views = dict(controls), views
        self.said = widgets.HTML()
        layout = widgets.Layout(max_width="100%")
        self.images = [widgets.Image(format="png", layout=layout) for _ in views]
        self._drawn: list[dict | None] = [None] * len(views)
        self._held = False
        for name, control in self.controls.items():
            control.description = control.description or label(name)
            control.observe(self.update, names="value")
        self.update()

    def update(self, _: object = None) -> None:
        """Draw the views whose controls have other values than when they were last drawn."""
        if self._held:
            return
        try:
            for i, (view, image) in enumerate(zip(self.views, self.images, strict=True)):
                values = self.values(view)
                if values != self._drawn[i]:
                    image.value = png(view(**values))
                    self._drawn[i] = values
            self.said.value = ""
        except Exception as error:
            self.said.value = f"<b>{type(error).__name__}:</b> {escape(str(error))}"
            raise

    def values(self, view: View) -> dict[str, object]:
        """Return the values of the controls that a view has parameters for."""
        named = signature(view).parameters
        return {name: c.value for name, c in self.controls.items() if name in named}

    @contextmanager
    def together(self) -> Iterator[None]:
        """Inside, controls may change without a picture being drawn; afterwards they are, once."""
        outer, self._held = self._held, True
        try:
            yield
        finally:
            self._held = outer
        self.update()
