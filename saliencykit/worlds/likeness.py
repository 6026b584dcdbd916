"""What of one's own data a twin is to have, and whether it has.

A twin's scene i is drawn for image i of the data: for each of its regions a thing of that category
that covers as much of the image. Its observers are as many, fixate as often, and look at each
category as much more than at what is no region as people do. So it has the figures on which the
width of an interval hangs, and all of its truth is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ..cache import Entry, cached
from ..datasets import CATEGORIES, SaliencyDataset
from ..datasets.toyworld.observers import Habits
from ..datasets.toyworld.scenes import Asked
from ..registry import check_name
from ..sources import code_of

COLUMNS = ["image", "category", "area", "inside", "fixations", "inside all", "covered", "observers"]
LEAST = 0.01  # fixations per pixel that a category gets beyond what is no region
IMAGES, REGIONS, AREA, LOOKS = "images", "regions an image", "area", "share of fixations"
OFF = {IMAGES: 1.15, REGIONS: 1.25, AREA: 1.5, LOOKS: 1.5}
"""How many times as large, or as small, as the data's a figure of a twin may be."""


@dataclass(frozen=True)
class Likeness:
    """What a twin is to be like: the things on each image, and how people look.

    asked: for each image what its scene is to hold; observers, fixations: how many people look at
    an image (the median), and how often each (the mean); weights: fixations per pixel of each
    category, beyond `rest`, that of what is no region; 1 is that of the whole image.
    """

    asked: Sequence[Sequence[Asked]]
    observers: int
    fixations: int
    weights: dict[str, float]
    rest: float

    @property
    def habits(self) -> Habits:
        """What its observers are like."""
        low = self.rest / 2
        return {"fixations": self.fixations, "contrast": low, "centre": low}


def likeness(data: SaliencyDataset) -> Likeness:
    """Measure what a twin of `data` is to be like. Cached.

    Raises ValueError for data without regions, whose observers are pooled, or fewer than two, and
    UnknownNameError for a category that toyworld does not draw.
    """
    if data.pooled:
        raise ValueError(f"{data!r} does not tell its observers apart, so it has no twin")
    table = looked_at_regions(data)
    if table["area"].isna().all():
        raise ValueError(f"{data!r} has no annotated regions, so it has no twin")
    for category in table["category"].dropna().unique():
        check_name("category that toyworld draws", category, CATEGORIES)
    each = table.groupby("image", sort=False)
    people = each["observers"].first()
    if people.median() < 2:
        raise ValueError(f"most images of {data!r} were looked at by fewer than two people")
    asked = [tuple(_things(regions.dropna(subset="area"))) for _, regions in each]
    told = table.dropna(subset="area")
    by = told.assign(asked=told["area"] * told["fixations"]).groupby("category")
    density = (by["inside"].sum() / by["asked"].sum()).fillna(0)  # where nobody looked
    alone = each[["fixations", "covered", "inside all"]].first()
    outside = ((1 - alone["covered"]) * alone["fixations"]).sum()
    rest = (alone["fixations"] - alone["inside all"]).sum() / outside if outside else 0.0
    weights = {c: max(LEAST, float(d - rest)) for c, d in density.items()}
    looks = alone["fixations"].sum() / max(1, people.sum())
    planted = dict.fromkeys(CATEGORIES, LEAST) | weights
    rest = max(LEAST, float(rest))  # somewhere to look, if a scene is empty
    return Likeness(asked, int(people.median()), max(1, round(looks)), planted, rest)


def looked_at_regions(data: SaliencyDataset) -> pd.DataFrame:
    """Return a row a region, and one for each image without any (category and area missing).

    image, category, area (share of the image), inside (fixations in it); and of its image: all
    fixations, "inside all" (those in any region), covered (by regions, a share), observers. Cached.
    """

    def compute() -> Entry:
        rows = [row for i in tqdm(range(len(data)), desc=f"regions of {data.name}", leave=False)
                for row in _rows(data, i)]  # fmt: skip
        return Entry(meta={"table": pd.DataFrame(rows, columns=COLUMNS).to_dict("list")})

    key = {"code": code_of(looked_at_regions), "data": data.fingerprint}
    table = pd.DataFrame(cached("looked_at_regions", key, compute).meta["table"])
    return table.astype(dict.fromkeys(COLUMNS[2:], float))


def _rows(data: SaliencyDataset, i: int) -> Iterator[tuple[object, ...]]:
    size = data.size_of(i)
    seen = data.fixations(i).inside(*size, f"{data.name}/{data.names[i]}")
    y, x = seen.y.long(), seen.x.long()
    regions = data.regions(i)
    masks = [region.as_mask(*size) for region in regions]
    whole = torch.stack(masks).any(0) if masks else torch.zeros(size, dtype=torch.bool)
    about = (len(seen), int(whole[y, x].sum()), float(whole.float().mean()),
             len(seen.observer.unique()))  # fmt: skip
    for region, mask in zip(regions, masks, strict=True):
        if area := float(mask.float().mean()):
            yield (data.names[i], region.category, area, int(mask[y, x].sum()), *about)
    if not whole.any():
        yield (data.names[i], None, None, None, *about)


def _things(regions: pd.DataFrame) -> Iterator[Asked]:
    """Return what a scene is to hold that has these regions: a thing for each."""
    for category, area in zip(regions["category"], regions["area"], strict=True):
        yield Asked(category.removesuffix("_head").removesuffix("_part"), category, area)


def compared(data: SaliencyDataset, twin: SaliencyDataset, least: int) -> pd.DataFrame:
    """Return what of `twin` is as in `data`: figure, category, own, twin, ratio, off (too far).

    Of each category on at least `least` images of the data: how many images show it (of as many as
    the data have), regions on each of these, median area and share of an image's fixations in one
    region (both shares of the image's).
    """
    own, other = (_figures(looked_at_regions(one), len(data) / len(one)) for one in (data, twin))
    table = pd.DataFrame({"own": own, "twin": other}).rename_axis(["figure", "category"])
    often = [own[IMAGES].get(category, 0) >= least for _, category in table.index]
    table = table[often].fillna(0.0).astype(float).reset_index()
    table["ratio"] = table["twin"] / table["own"]
    apart = np.log(table["ratio"].clip(1e-9, 1e9)).abs()
    return table.assign(off=apart > np.log(table["figure"].map(OFF).astype(float)))


def _figures(table: pd.DataFrame, times: float) -> pd.Series:
    """Return the figures of `compared` by (figure, category), counts of images `times` as many."""
    told = table.dropna(subset="area")
    told = told.assign(share=told["inside"] / told["fixations"].clip(lower=1))
    by = told.groupby("category")
    images = by["image"].nunique()
    found = {IMAGES: images * times, REGIONS: by.size() / images, AREA: by["area"].median()}
    return pd.concat({**found, LOOKS: by["share"].mean()})
