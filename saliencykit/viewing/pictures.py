"""Pictures as arrays: maps over images, fixations, outlines, montages. Fast enough for sliders."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion
from torch import Tensor

from ..datasets import Fixations, Region, SaliencyDataset
from ..models import upsample
from ..models.stimuli import resize
from .style import PALETTE, WIDTH, colours, label

LINE = (255, 176, 0)  # amber: told from any greyed picture, by everybody
INK = (30, 30, 30)
Ink = str | tuple[int, int, int]

Picture = np.ndarray
"""uint8 (H, W, 3)."""


def as_picture(image: Tensor) -> Picture:
    """Turn uint8 (3, H, W) into (H, W, 3)."""
    return image.permute(1, 2, 0).numpy()


def normalised(values: Tensor) -> Tensor:
    """Stretch a map to [0, 1]; a constant one becomes 0."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


def spotlight(image: Tensor, values: Tensor, threshold: float | None = None) -> Picture:
    """Light a stimulus uint8 (3, H, W) up where a map (h, w) exceeds its mean.

    That is what region NSS rewards. There the image keeps its colours, elsewhere it is grey and
    dark. A line runs where the map is `threshold` standard deviations above its mean, or, without
    one, half as high above it as at its maximum. A constant map lights nothing.
    """
    values = values.float() - values.float().mean()  # exactly 0 if constant
    full = upsample(values[None, None], tuple(image.shape[-2:]))[0, 0].numpy()
    above = full - full.mean()
    highest = max(float(above.max()), 1e-12)
    level = 0.5 * highest if threshold is None else max(threshold * float(above.std()), 1e-12)
    picture = as_picture(image).astype(np.float32)
    dark = 0.45 * picture.mean(-1, keepdims=True) + 12
    light = np.clip(2.5 / highest * above, 0, 1)[..., None]
    lit = dark + (picture - dark) * light
    lit[_border(above > level, max(1, image.shape[-1] // 160))] = LINE
    return lit.astype(np.uint8)


def _border(mask: np.ndarray, width: int) -> np.ndarray:
    """Pixels of a mask (H, W) at most `width` from its edge; the picture's own edge is none."""
    return mask & ~binary_erosion(mask, iterations=width, border_value=1)


def mapped(values: Tensor, size: tuple[int, int], colours: str = "magma") -> Picture:
    """Draw a map (h, w) alone, upsampled to `size` (height, width)."""
    full = upsample(normalised(values.float())[None, None], size)[0, 0].clamp(0, 1).numpy()
    return mpl.colormaps[colours](full, bytes=True)[..., :3]


def grey(values: Tensor) -> Image.Image:
    """Turn a map (H, W) into a grey picture: its minimum black, its maximum white."""
    return Image.fromarray((255 * normalised(values)).round().to(torch.uint8).numpy())


def with_fixations(
    picture: Picture,
    fixations: Fixations,
    radius: int | None = None,
    inks: Sequence[Ink] | None = None,
) -> Picture:
    """Draw fixations as white-rimmed dots; coordinates are the picture's pixels.

    inks: each one's colour, None: all have the same.
    """
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    radius = radius or max(2, picture.shape[1] // 160)
    inks = [(213, 94, 0)] * len(fixations) if inks is None else inks
    for x, y, ink in zip(fixations.x.tolist(), fixations.y.tolist(), inks, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=ink, outline=(255, 255, 255))
    return np.array(canvas)


def outline(
    picture: Picture,
    regions: Sequence[Region],
    colour: dict[str, tuple] | None = None,
    width: int | None = None,
) -> Picture:
    """Draw the borders of regions, `width` pixels wide, in their category's colour, or white."""
    drawn = picture.copy()
    width = width or max(1, picture.shape[1] // 200)
    for region in regions:
        mask = region.as_mask(*picture.shape[:2]).numpy()
        rgb = (colour or {}).get(region.category, (1.0, 1.0, 1.0))
        drawn[_border(mask, width)] = (np.array(rgb) * 255).astype(np.uint8)
    return drawn


def at_height(size: tuple[int, int], height: int) -> tuple[int, int]:
    """Scale a size (height, width) to a height."""
    return height, round(height * size[1] / size[0])


def fit(picture: Picture, height: int) -> Picture:
    """Resize a picture to `height`, keeping its shape."""
    size = at_height(picture.shape[:2], height)
    return np.array(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """Return matplotlib's font, which knows dashes, times signs and accents."""
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def captioned(picture: Picture, text: str, strip: int = 18, ink: Ink = INK) -> Picture:
    """Add a line of text under a picture."""
    canvas = Image.new("RGB", (picture.shape[1], picture.shape[0] + strip), "white")
    canvas.paste(Image.fromarray(picture))
    pen = ImageDraw.Draw(canvas)
    pen.text((3, picture.shape[0] + strip * 0.1), text, fill=ink, font=font(strip * 0.62))
    return np.array(canvas)


def montage(
    pictures: Sequence[Picture],
    captions: Sequence[str] = (),
    columns: int = 6,
    height: int = 120,
    gap: int = 4,
) -> Picture:
    """Set pictures side by side on white, `columns` to a row, each `height` pixels tall.

    captions: a line under each picture, or none.
    """
    if not len(pictures):
        return np.full((height, height, 3), 255, np.uint8)
    small = [fit(p, height) for p in pictures]
    if captions:
        small = [captioned(p, text) for p, text in zip(small, captions, strict=True)]
        height = small[0].shape[0]
    width = max(p.shape[1] for p in small)
    rows = -(-len(small) // columns)
    shape = (rows * (height + gap) - gap, min(columns, len(small)) * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for k, picture in enumerate(small):
        y, x = (k // columns) * (height + gap), (k % columns) * (width + gap)
        sheet[y : y + height, x : x + picture.shape[1]] = picture
    return sheet


def side_by_side(pictures: Sequence[Picture], gap: int = 10) -> Picture:
    """Set pictures side by side on white, their tops in line."""
    tall = max(p.shape[0] for p in pictures)
    padded = [_padded(p, tall - p.shape[0], gap) for p in pictures]
    return np.concatenate(padded, 1)[:, :-gap]


def stacked(pictures: Sequence[Picture], gap: int = 6) -> Picture:
    """Set pictures below each other on white, their left edges in line."""
    wide = max(p.shape[1] for p in pictures)
    padded = [_padded(p, gap, wide - p.shape[1]) for p in pictures]
    return np.concatenate(padded)[:-gap]


def _padded(picture: Picture, below: int, right: int) -> Picture:
    return np.pad(picture, [(0, below), (0, right), (0, 0)], constant_values=255)


def png(picture: Picture) -> bytes:
    """Encode a picture as PNG, lightly compressed: what `ipywidgets.Image` shows."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


def difference(values: Tensor, size: tuple[int, int]) -> Picture:
    """Draw a residual (h, w): red where the model expects too much, blue where too little."""
    reach = values.abs().flatten().quantile(0.995).clamp(min=1e-12)
    share = upsample((0.5 + 0.5 * values / reach)[None, None], size)[0, 0].clamp(0, 1)
    return mpl.colormaps["RdBu_r"](share.numpy(), bytes=True)[..., :3]


DPI = 100  # of sheets of pictures: their grain makes large files, and adds nothing


def gallery(
    rows: Sequence[Sequence[Picture]],
    titles: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    labels: Sequence[str] = (),
    columns: int = 1,
    size: str = "small",
) -> Figure:
    """Pictures in rows and columns: `titles` over columns, `labels` left of rows, `notes` below.

    columns: at least so many, where rows may be shorter; size: of the notes' letters.
    """
    columns = max(columns, *map(len, rows))
    tall, wide = rows[0][0].shape[:2]
    margin = 1.15 if labels else 0.0
    height = (WIDTH - margin) / columns * tall / wide + (0.22 if notes else 0.04)
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(WIDTH, height * len(rows) + (0.3 if titles else 0)),
        squeeze=False,
        layout="constrained",
        dpi=DPI,
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.01, wspace=0, hspace=0)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            axes[r, c].imshow(picture, interpolation="lanczos")
            if notes:
                axes[r, c].set_xlabel(notes[r][c], fontsize=size, labelpad=1)
        if labels:
            axes[r, 0].set_ylabel(labels[r], fontsize="small", rotation=0, ha="right", va="center")
    for c, title in enumerate(titles):
        axes[0, c].set_title(title.replace(", ", "\n"), fontsize="small", loc="center")
    return figure


def poster(picture: Picture) -> Figure:
    """Return a figure that is just the picture, pixel for pixel as `save` writes it."""
    tall, wide = picture.shape[:2]
    figure, axis = plt.subplots(figsize=(wide / DPI, tall / DPI), dpi=DPI)
    axis.set_position((0, 0, 1, 1))  # no layout moves it
    axis.set_axis_off()
    axis.imshow(picture, interpolation="nearest", aspect="auto")
    return figure


def stimulus(data: SaliencyDataset, i: int, regions: bool = True, looks: bool = True) -> Picture:
    """Draw stimulus i with its regions' outlines and its fixations."""
    picture, names = as_picture(data.image(i)), data.categories
    if regions:
        hues = dict(zip(names, colours(names), strict=True)) or PALETTE
        picture = outline(picture, data.regions(i), hues)
    if looks:
        picture = with_fixations(picture, data.fixations(i).inside(*picture.shape[:2]))
    return picture


def at_region(
    data: SaliencyDataset,
    i: int,
    number: int,
    values: Tensor | None = None,
    threshold: float | None = None,
    tall: int = 360,
) -> Picture:
    """Draw stimulus i, `tall` pixels high, its region `number` and the fixations inside outlined.

    That is what a region NSS is of. values: a unit's map, to light the stimulus where it exceeds
    its mean; `threshold` as of `spotlight`.
    """
    own, region = data.size_of(i), data.regions(i)[number]
    size, mask = at_height(own, tall), region.as_mask(*own)
    image = resize(data.image(i), size)
    picture = as_picture(image) if values is None else spotlight(image, values, threshold)
    small = Image.fromarray(mask.numpy()).resize(size[::-1], Image.Resampling.NEAREST)
    outlined = Region(region.category, mask=torch.from_numpy(np.array(small)))
    looks = data.fixations(i).inside(*own, data.names[i])
    inside = looks[mask[looks.y.long(), looks.x.long()]].scaled(own, size)
    return with_fixations(outline(picture, [outlined], width=tall // 120), inside, tall // 110)


def title_of(data: SaliencyDataset, i: int) -> str:
    """Return stimulus i's name and scene class."""
    scene = data.scene(i)
    return data.names[i] + (f", {label(scene)}" if scene else "")


def looks_at(data: SaliencyDataset, i: int, size: tuple[int, int] | None = None) -> Tensor:
    """Count where people looked at stimulus i: a map of `size`, the stimulus' own if None."""
    own = data.size_of(i)
    looks = data.fixations(i).inside(*own, data.names[i])
    return (looks.scaled(own, size) if size else looks).count_map(*(size or own))
