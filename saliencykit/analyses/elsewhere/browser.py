"""A category in every setting: its best unit before and after fine-tuning, on photographs."""

from functools import cache

import ipywidgets as widgets

from ...findings import FineTuning
from ...registry import check_name
from ...viewing import UnitBrowser
from ...viewing.controls import explore
from ...viewing.pictures import Picture
from .tables import Asked


class SettingBrowser:
    """The first training of each setting: a setting's networks run when it is first chosen."""

    def __init__(self, settings: Asked):
        self.settings = settings
        self.units = cache(self._units)

    def _units(self, setting: str) -> UnitBrowser:
        found = FineTuning(self.settings.studies[setting])
        return UnitBrowser(*found.first, found.study.size, [found.layer], found.layer)

    def draw(self, setting: str, category: str) -> Picture:
        """Draw the unit of the deepest layer that is best for a category before fine-tuning.

        Raises UnknownNameError for a category that the setting's photographs do not show.
        """
        units, layer = self.units(setting), self.settings.studies[setting].dissected[-1]
        check_name(f"category of {setting}", category, units.categories)
        return units.draw(layer, 0, category)

    def widget(self) -> widgets.VBox:
        """Return the controls: setting and category."""
        studies = self.settings.studies
        known = dict.fromkeys(c for study in studies.values() for c in study.annotated.categories)
        setting, category = (widgets.Dropdown(options=list(names)) for names in (studies, known))
        return explore(self.draw, setting=setting, category=category)
