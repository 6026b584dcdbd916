"""Commands that measure: units of a network, saliency maps of images, somebody else's maps.

Each imports what it needs, so that help comes at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..paths import whole
from ..registry import check_name

if TYPE_CHECKING:
    import pandas as pd

    from ..datasets import SaliencyDataset

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def dissect(
    out: Annotated[Path, typer.Option(help="CSV to write: layer, unit, category, selectivity.")],
    encoder: Annotated[
        str, typer.Option(help="A classifier of torchvision or timm, or one of ours.")
    ] = "toyvgg",
    weights: Annotated[
        str, typer.Option(help="imagenet, toyworld (for toyvgg), none (untrained), or a path.")
    ] = "default",
    data: Annotated[str, typer.Option(help="Data set: see `saliencykit datasets`.")] = "toyworld",
    split: Annotated[str, typer.Option(help="Its part: train, val, test or all.")] = "all",
    layers: Annotated[str, typer.Option(help="Layers, with commas between; all if empty.")] = "",
) -> None:
    """Measure what each unit of a network responds to, into a CSV.

    Selectivity is the mean, over a category's regions, of the unit's z-scored activation at the
    fixations inside the region.

    \b
    Example:
      saliencykit dissect --encoder mobilenet_v2 --data osie --layers features.13 --out units.csv
    """
    import pandas as pd

    from ..datasets import load
    from ..dissection import dissect as measure
    from ..models import build_encoder

    if not out.parent.is_dir():  # said now, not after minutes of work
        raise FileNotFoundError(f"The folder for --out, {out.parent}, is not there; make it first.")
    data_set = _part(load(data), split)
    chosen = [layer.strip() for layer in layers.split(",") if layer.strip()] or None
    known = build_encoder(encoder, weights=None).layers if chosen else ()
    for layer in chosen or ():  # said now, not after teaching an encoder
        check_name(f"layer of {encoder}", layer, known)
    network = build_encoder(encoder, weights=None if weights.lower() == "none" else weights)
    found = measure(network, data_set, layers=chosen)
    tables = [_long(layer, found.selectivity(layer)) for layer in found.scores]
    with whole(out) as part:
        pd.concat(tables).to_csv(part, index=False)
    typer.echo(f"{out}: {sum(map(len, tables))} rows, {len(tables)} layers")


def _long(layer: str, selectivity: "pd.DataFrame") -> "pd.DataFrame":
    """Categories × units as rows of layer, unit, category, selectivity."""
    rows = selectivity.rename_axis(index="category", columns=None).reset_index()
    rows = rows.melt("category", var_name="unit", value_name="selectivity").assign(layer=layer)
    return rows[["layer", "unit", "category", "selectivity"]]


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the maps; made if it is not there.")],
    model: Annotated[
        str, typer.Option(help="A classical model, a trained one that was kept, or a checkpoint.")
    ] = "gbvs",
    smooth: Annotated[
        float, typer.Option(help="Blur by so much of the longer side (0.03: about one degree).")
    ] = 0.0,
) -> None:
    """Draw saliency maps of your own images: NAME.png to look at, NAME.npy to compute with.

    The arrays are float32, as large as their image, on the model's own scale; the pictures run
    from black (the map's minimum) to white. Models: aim, bms, gbvs … (`saliencykit models` lists
    them, and what you trained).

    \b
    Examples:
      saliencykit predict photo.jpg --out maps
      saliencykit predict holiday/ --model toy/fine-tuned --out maps
    """
    import numpy as np
    from tqdm import tqdm

    from ..models import by_name
    from ..models.classical.filters import blur
    from ..reading.pictures import read_image
    from ..viewing.pictures import grey

    run, files = by_name(model), _image_files(images)
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out names a folder for the maps; {out} is a file.")
    out.mkdir(parents=True, exist_ok=True)
    unread = []
    for name, path in tqdm(files.items(), desc=model, unit="image"):
        try:
            image = read_image(path)
        except ValueError as error:
            unread.append(str(error))
            continue
        values = run(image[None].float() / 255)[0].float()
        if smooth:
            values = blur(values, smooth * max(values.shape))
        with whole(out / f"{name}.npy") as part, part.open("wb") as file:
            np.save(file, values.numpy())
        with whole(out / f"{name}.png") as part:
            grey(values).save(part, format="PNG")
    typer.echo(f"{out}: {len(files) - len(unread)} maps (PNG and npy)")
    if unread:
        raise ValueError("\n".join(["Left out:", *unread]))


def _image_files(given: Sequence[Path]) -> dict[str, Path]:
    """Return image files by the name of their maps. Raises for what is missing or called alike."""
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}.")
        for file in _images_in(path) if path.is_dir() else [path]:
            if file.stem in found:
                raise ValueError(f"{file} and {found[file.stem]} would have maps of one name.")
            found[file.stem] = file
    if not found:
        raise FileNotFoundError(f"No images in {', '.join(map(str, given))}.")
    return found


def _images_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)


def models(
    pattern: Annotated[
        str, typer.Argument(help='Part of the names to list; "timm:" for timm\'s, if installed.')
    ] = "",
) -> None:
    """List models that `predict` can draw maps with, and encoders that can be looked into.

    With the images they take, the licence of their weights, and whom to cite.

    \b
    Examples:
      saliencykit models
      saliencykit models vgg
      saliencykit models timm:convnext
    """
    from ..models import catalogue
    from ..running.checking import table

    header = ("model", "kind", "images it takes", "licence of its weights", "source")
    typer.echo("\n".join(table(header, catalogue(pattern))))


def evaluate(
    maps: Annotated[Path, typer.Option(help="Folder of maps called like the images.")],
    data: Annotated[str, typer.Option(help="Data set: see `saliencykit datasets`.")],
    split: Annotated[str, typer.Option(help="Its part: train, val, test or all.")] = "val",
    metrics: Annotated[str, typer.Option(help="With commas between; all if empty.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: a row an image and metric.")
    ] = None,
) -> None:
    """Score somebody else's saliency maps with all metrics, beside the centre prior and people.

    Maps are <image name>.npy or .png, of any size. Means over images come with 95 % intervals.

    \b
    Examples:
      saliencykit evaluate --maps their_maps --data osie
      saliencykit evaluate --maps maps --data toyworld --metrics nss,auc --out scores.csv
    """
    from ..datasets import load
    from ..evaluation import DEFAULT_METRICS, file_maps, human_ceiling, prior_maps, summary
    from ..evaluation import evaluate as score
    from ..metrics import ARRAY_METRICS
    from ..models import CentrePrior
    from ..running.checking import table

    data_set = load(data)
    chosen = _part(data_set, split)
    prior = CentrePrior.fit(_part(data_set, "train") if split != "train" else data_set)
    names = [name.strip() for name in metrics.split(",") if name.strip()] or DEFAULT_METRICS
    for name in names:
        if name in ARRAY_METRICS and not hasattr(chosen, "targets"):
            raise ValueError(f"{name} is a metric of search arrays; {data!r} has no targets.")
    models = {maps.name: file_maps(maps, chosen), "centre prior": prior_maps(prior, chosen)}
    found = score(models, chosen, names, prior).beside(human_ceiling(chosen)).scores
    if out is not None:
        with whole(out) as part:
            found.to_csv(part, index=False)
    means = summary(found[found["metric"].isin(names)]).set_index(["metric", "model"])
    header = ("metric", *dict.fromkeys(found["model"]))
    rows = [(m, *(_cell(means, m, model) for model in header[1:])) for m in names]
    typer.echo(f"{chosen!r}, means with 95 % intervals over images")
    typer.echo("\n".join(table(header, rows)))


def _cell(means: "pd.DataFrame", metric: str, model: str) -> str:
    if (metric, model) not in means.index:
        return ""
    row = means.loc[(metric, model)]
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _part(data: "SaliencyDataset", split: str) -> "SaliencyDataset":
    """Return a part of the data. Raises UnknownNameError, and ValueError for one without images."""
    check_name("split", split, ("train", "val", "test", "all"))
    part = data if split == "all" else data.split(split)
    if not len(part):
        sizes = ", ".join(f"{name} {len(data.split(name))}" for name in ("train", "val", "test"))
        raise ValueError(f"The split {split!r} of {data.name!r} holds no image ({sizes}); try all.")
    return part
