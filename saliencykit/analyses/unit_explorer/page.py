"""The explorer as one page to click without a kernel: `saliencykit explore --export DIR`.

A folder that opens from disk: index.html holds numbers and pictures, and beside it lies a script
for each layer, which brings its units' maps when they are looked at (a page from disk may load
scripts, and nothing else). All is computed here and drawn there, by page.js.
"""

import base64
import hashlib
import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image
from skimage.measure import approximate_polygon, find_contours
from torch.nn.functional import adaptive_avg_pool2d

from ...datasets import Region, SaliencyDataset
from ...dissection import singles
from ...metrics.upsampling import Size
from ...models.stimuli import resize
from ...paths import PART, ROOT, check_out, remove_left, written
from ...registry import check_name
from ...running.profiles import assign, declared, find_notebooks
from ...settings import read_profile
from ...study import Study
from ...viewing.pictures import as_picture, at_height, title_of
from ...viewing.style import label
from .figures import UnitExplorer
from .tables import every_unit, known, telling_units

COMMAND = "explore"
NOTEBOOK = "09"
PAGE = "index.html"
TALL = 360  # pixels: height of a picture
GRID = (60, 80)  # larger maps are averaged down to this: they would be most of the page
COLOURS = "inferno"  # of heat maps
ABOUT = ("profile", "description", "encoder")


def export(
    folder: Path, profile: str, overrides: Mapping[str, str] = {}, docs: str | None = None
) -> list[Path]:
    """Write the explorer of a profile into `folder`, which is made; return the files, page first.

    overrides: settings, and parameters of notebook 09, as typed texts; of `networks` the first two
    are shown, after and before. docs: where the page's link to its explanation leads (None: to this
    checkout's, from a folder in it). Trains and dissects what is not in the cache; before that,
    raises UnknownNameError for what is not known, ValueError without two networks, and as `check`.
    """
    (notebook,) = find_notebooks([NOTEBOOK])
    asked = read_profile(profile)
    (given,) = assign([notebook], asked, overrides)
    chosen = declared(notebook) | given
    study = Study.from_profile(profile, **chosen["changes"])
    networks = list(dict.fromkeys(known(study, chosen["networks"])))[:2]
    if len(networks) < 2:
        raise ValueError(f"networks is {networks}: name one for after and one for before training")
    if chosen["category"]:
        check_name("category", chosen["category"], study.annotated.categories)
    check(folder)
    explorer = UnitExplorer.of(study, networks, chosen["browsed"], compared=())
    about = {"profile": profile, "description": asked.description, "encoder": study.encoder}
    return write(explorer, folder, chosen["category"], about, docs)


def check(folder: Path) -> None:
    """Raise unless `folder` is empty, or holds only what we wrote and nobody has changed; make it.

    NotADirectoryError for a file, else as `paths.check_out`.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(f"--export names a folder for the page; {folder} is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    remove_left(folder, PART)
    check_out(COMMAND, folder / PAGE, *sorted(folder.iterdir()), option="--export")


def write(
    explorer: UnitExplorer,
    folder: Path,
    category: str = "",
    about: Mapping[str, str] = {},
    docs: str | None = None,
) -> list[Path]:
    """Write the page of an explorer's first two networks, "after" and "before"; return its files.

    category: to begin with ("": the first); about: profile, description and encoder, to be told;
    docs: as of `export`. Raises UnknownNameError for a category, and as `check`.
    """
    check(folder)
    categories = explorer.categories
    category = check_name("category", category or categories[0], categories)
    layers = [_Layer.of(explorer, name) for name in explorer.layers]
    data = {
        "networks": [
            {"name": name, "trainings": len(explorer.every(name))} for name in _both(explorer)
        ],
        "categories": [[name, label(name)] for name in categories],
        "category": categories.index(category),
        "layers": [layer.told(categories, f"layer{k}.js") for k, layer in enumerate(layers)],
        "images": [_image(explorer.data, i) for i in range(len(explorer.data))],
        "colours": _base64(mpl.colormaps[COLOURS](np.arange(256), bytes=True)[:, :3].tobytes()),
    }
    address = _docs(folder) if docs is None else docs
    told = dict.fromkeys(ABOUT, "") | {**about, "docs": address}
    files = {folder / PAGE: _page(data, told, explorer.data.shareable)}
    for k, layer in enumerate(layers):
        files[folder / f"layer{k}.js"] = f'received({k}, "{_base64(layer.packed(explorer))}");\n'
    for path, content in files.items():
        with written(COMMAND, path) as part:
            part.write_text(content, encoding="utf-8")
    stale = [path for path in folder.iterdir() if path not in files]
    check_out(COMMAND, *stale, option="--export")
    for path in stale:  # layers of a page that had more of them
        path.unlink()
    return list(files)


@dataclass(frozen=True)
class _Layer:
    """What the page holds of a layer: `units` of it, and the `every_unit` of both networks."""

    name: str
    shape: Size
    units: list[int]
    tables: list[pd.DataFrame]

    @classmethod
    def of(cls, explorer: UnitExplorer, name: str) -> "_Layer":
        """Measure a layer, and choose its units: the telling ones, of the deepest layer all."""
        tables = [every_unit(explorer.every(network), name) for network in _both(explorer)]
        _, count, *size = explorer.steps(_both(explorer)[0], name).shape
        deepest = name == explorer.layers[-1]
        units = list(range(count)) if deepest else telling_units(*tables)
        tall, wide = (min(n, most) for n, most in zip(size, GRID, strict=True))
        return cls(name, (tall, wide), units, tables)

    def told(self, categories: Sequence[str], file: str) -> dict[str, Any]:
        """Return what the page knows of the layer at once: numbers [network][category][unit]."""

        def numbers(table: pd.DataFrame, column: str) -> list[list[float | None]]:
            wide = table.pivot(index="category", columns="unit", values=column)
            return _plain(wide.loc[list(categories), self.units].to_numpy())

        found = {name: [numbers(t, name) for t in self.tables] for name in ("value", "low", "high")}
        found["singles"] = [[numbers(t, c) for c in singles(t)] for t in self.tables]
        of = int(self.tables[0]["unit"].max()) + 1
        about = {"name": self.name, "file": file, "shape": self.shape, "units": self.units}
        return {**about, "of": of, **found}

    def packed(self, explorer: UnitExplorer) -> bytes:
        """Return region NSS and maps of the layer's units in both networks, compressed.

        float32 [network][region][unit], regions image by image; uint8 [network][image][unit][y][x],
        each map from its own minimum to its maximum.
        """
        scores, maps = [], []
        for network in _both(explorer):
            result, names = explorer.results[network], explorer.data.names
            image = pd.Index(names).get_indexer(pd.Index(result.regions["image"]))
            rows = np.argsort(image, kind="stable")[(image < 0).sum() :]
            scores.append(result.of(self.name).numpy()[rows][:, self.units])
            steps = explorer.steps(network, self.name)[:, self.units]
            maps.append(adaptive_avg_pool2d(steps.float(), self.shape).round().byte().numpy())
        return zlib.compress(np.stack(scores).tobytes() + np.stack(maps).tobytes(), 9)


def _both(explorer: UnitExplorer) -> list[str]:
    """The networks after and before."""
    return list(explorer.encoders)[:2]


def _image(data: SaliencyDataset, i: int) -> dict[str, Any]:
    """One image: name, scene, size [height, width] and picture; regions, and x, y of fixations."""
    own = data.size_of(i)
    size = at_height(own, TALL)
    looks = data.fixations(i).inside(*own, data.names[i]).scaled(own, size)
    kept = io.BytesIO()
    Image.fromarray(as_picture(resize(data.image(i), size))).save(kept, "JPEG", quality=85)
    return {
        "name": data.names[i],
        "title": title_of(data, i),
        "size": size,
        "src": f"data:image/jpeg;base64,{_base64(kept.getvalue())}",
        "regions": [
            [list(data.categories).index(region.category), _outline(region, own, size)]
            for region in data.regions(i)
        ],
        "fixations": _plain(torch.stack([looks.x, looks.y], 1).numpy(), 0),
    }


def _outline(region: Region, own: Size, size: Size) -> str:
    """A region's outline as an SVG path, in pixels of a picture of `size`."""
    mask = Image.fromarray(region.as_mask(*own).numpy())
    small = np.pad(np.array(mask.resize(size[::-1], Image.Resampling.NEAREST)), 1)
    lines = [approximate_polygon(line, 0.7) for line in find_contours(small.astype(float), 0.5)]
    dots = [" ".join(f"{x - 0.5:.0f},{y - 0.5:.0f}" for y, x in line[:-1]) for line in lines]
    return "".join(f"M{line}Z" for line in dots)


def _plain(values: np.ndarray, digits: int = 4) -> list:
    """Nested lists of numbers (n, m), NaN as None."""
    return [
        [None if np.isnan(v) else round(float(v), digits or None) for v in row] for row in values
    ]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _docs(folder: Path) -> str:
    """Address of the explanation in this checkout, as seen from a `folder` in it; elsewhere "".

    A page that is sent away tells nothing of where it was made.
    """
    page, place = ROOT / "docs" / "explorer.md", folder.resolve()
    if not (page.is_file() and place.is_relative_to(ROOT)):
        return ""
    return Path(os.path.relpath(page, place)).as_posix()


def _page(data: Mapping[str, Any], about: Mapping[str, str], shareable: bool) -> str:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    css, js = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    told = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return environment.get_template("page.html").render(
        css=Markup(css),
        js=Markup(js),
        hash=f"sha256-{_base64(hashlib.sha256(js.encode()).digest())}",  # no other script may run
        data=Markup(told),
        networks=data["networks"],
        layers=data["layers"],
        images=len(data["images"]),
        shareable=shareable,
        about=about,
    )
