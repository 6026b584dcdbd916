"""Commands that measure: units of a network, saliency maps of images, somebody else's maps.

Each imports what it needs, so that help comes at once.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..paths import cache_root, check_out, written
from ..registry import check_name
from . import completing
from .as_json import Json, say

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from ..datasets import SaliencyDataset

Data = Annotated[
    str,
    typer.Option(help="Data set: see `saliencykit datasets`.", autocompletion=completing.data),
]
Split = Annotated[
    str, typer.Option(help="Its part: train, val, test or all.", autocompletion=completing.split)
]


def dissect(
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: layer, unit, category, selectivity.")
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="A classifier of torchvision or timm, or one of ours.",
            autocompletion=completing.encoder,
        ),
    ] = "toyvgg",
    weights: Annotated[
        str, typer.Option(help="imagenet, toyworld (for toyvgg), none (untrained), or a path.")
    ] = "default",
    data: Data = "toyworld",
    split: Split = "all",
    layers: Annotated[str, typer.Option(help="Layers, with commas between; all if empty.")] = "",
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="One of N shards only, into the cache.")
    ] = "",
) -> None:
    """Measure what each unit of a network responds to, into a CSV.

    Selectivity is the mean, over a category's regions, of the unit's z-scored activation at the
    fixations inside the region. Nothing is written over but what the same command wrote there and
    nobody has changed since.

    Images are dissected in batches of 16, each of which is kept in the cache as soon as it is done:
    a killed run goes on at the batch where it was, and memory does not grow with the number of
    images. Let several machines or processes, with one $SALIENCYKIT_CACHE, do a shard of a large
    data set each: --shard 1/4 to --shard 4/4. The same command without --shard then reads what they
    did, computes what is missing, and writes the CSV: the same, to the last digit, as if nothing
    had been divided. 1/4 and 2/3 go together, as do two of the same, which compute each batch once.
    Shards of another encoder, data or layers are never mixed in.

    \b
    Examples:
      saliencykit dissect --encoder mobilenet_v2 --data osie --layers features.13 --out units.csv
      saliencykit dissect --encoder vgg16 --data osie --shard 2/4
      saliencykit dissect --encoder vgg16 --data osie --out units.csv
    """
    import pandas as pd

    from ..datasets import load
    from ..dissection.sharded import Sharded, check_shard
    from ..models import build_encoder

    if out is not None:
        check_out("dissect", out)  # said now, not after minutes of work
    elif not shard:
        raise ValueError("Name a CSV to write, --out units.csv; only a --shard goes without.")
    which = _numbers(shard or "1/1")
    data_set = _part(load(data), split)
    check_shard(which, data_set)
    chosen = [layer.strip() for layer in layers.split(",") if layer.strip()] or None
    known = build_encoder(encoder, weights=None).layers if chosen else ()
    for layer in chosen or ():  # said now, not after teaching an encoder
        check_name(f"layer of {encoder}", layer, known)
    network = build_encoder(encoder, weights=None if weights.lower() == "none" else weights)
    found = Sharded(network, data_set, chosen)
    if shard or out is None:
        images = found.compute(which)
        typer.echo(f"Shard {shard}: {images} of {len(data_set)} images are in {cache_root()}")
        return
    if missing := found.missing():
        typer.echo(
            f"{len(missing)} of {len(found.batches)} batches of images are not in {cache_root()}, "
            "as these settings have them, and are computed now",
            err=True,
        )
    tables = [_long(layer, table) for layer, table in found.selectivity().items()]
    with written("dissect", out) as part:
        pd.concat(tables).to_csv(part, index=False)
    typer.echo(f"{out}: {sum(map(len, tables))} rows, {len(tables)} layers")


def _numbers(shard: str) -> tuple[int, int]:
    """Read I/N."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard.strip(), re.ASCII)
    if found is None:
        raise ValueError(f"--shard {shard!r} is not I/N, such as 2/4 for the second of four.")
    return int(found[1]), int(found[2])


def _long(layer: str, selectivity: "pd.DataFrame") -> "pd.DataFrame":
    """Categories × units as rows of layer, unit, category, selectivity."""
    rows = selectivity.rename_axis(index="category", columns=None).reset_index()
    rows = rows.melt("category", var_name="unit", value_name="selectivity").assign(layer=layer)
    return rows[["layer", "unit", "category", "selectivity"]]


def predict(
    images: Annotated[
        list[Path], typer.Argument(help="Image files, or folders of them and their subfolders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the maps; made if it is not there.")],
    model: Annotated[
        str,
        typer.Option(
            help="A classical model, a trained one that was kept, or a checkpoint.",
            autocompletion=completing.model,
        ),
    ] = "gbvs",
    smooth: Annotated[
        float, typer.Option(help="Blur by so much of the longer side (0.03: about one degree).")
    ] = 0.0,
) -> None:
    """Draw saliency maps of your own images: NAME.png to look at, NAME.npy to compute with.

    The arrays are float32, as large as their image, on the model's own scale; the pictures run
    from black (the map's minimum) to white. Models: aim, bms, gbvs … (`saliencykit models` lists
    them, and what you trained).

    Of a folder, the images in it and one level down are taken, as by the data set `folder`; maps of
    the latter go to folders of the same names. Images are seen upright, on white where they are
    transparent. Images that can't be read, or that the model can't take, are told at the end, and
    the exit status is then 2. Nothing is written over but what the same command wrote there and
    nobody has changed since.

    \b
    Examples:
      saliencykit predict photo.jpg --out maps
      saliencykit predict holiday/ --model toy/fine-tuned --out maps
    """
    from tqdm import tqdm

    from ..models import by_name

    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out names a folder for the maps; {out} is a file.")
    files = _image_files(images, out)
    run = by_name(model)
    for folder in {(out / name).parent for name in files}:
        folder.mkdir(parents=True, exist_ok=True)
    maps = [out / f"{name}{end}" for name in files for end in (".png", ".npy")]
    check_out("predict", *maps, inputs=[path for path in files.values() if path.exists()])
    failed = []
    for name, path in tqdm(files.items(), desc=model, unit="image"):
        try:
            values = _map(run, path, smooth)
        except Exception as error:  # whatever a model makes of one image, others get their maps
            told = f"{error}".partition("\n")[0] or type(error).__name__
            failed.append(told if str(path) in told else f"{path}: {model} can't take it: {told}")
        else:
            _write_map(values, out, name)
    typer.echo(f"{out}: {len(files) - len(failed)} maps (PNG and npy)")
    if failed:
        raise ValueError("\n".join(["Left out:", *failed]))


def _map(run: Callable[["Tensor"], "Tensor"], path: Path, smooth: float) -> "Tensor":
    """The map (H, W) of an image file. Raises ValueError, and what the model does."""
    from ..models.classical.filters import blur
    from ..reading.pictures import read_image

    values = run(read_image(path)[None].float() / 255)[0].float()
    if not bool(values.isfinite().all()):
        raise ValueError(f"{path}: the map holds NaN or infinite values.")
    return blur(values, smooth * max(values.shape)) if smooth else values


def _write_map(values: "Tensor", out: Path, name: str) -> None:
    """Write a map as array and as picture."""
    import numpy as np

    from ..viewing.pictures import grey

    with written("predict", out / f"{name}.npy") as part, part.open("wb") as file:
        np.save(file, values.numpy())
    with written("predict", out / f"{name}.png") as part:
        grey(values).save(part, format="PNG")


def _image_files(given: Sequence[Path], out: Path) -> dict[str, Path]:
    """Return image files by the name of their maps; what lies in `out`, within a folder, is none.

    Raises for what is missing or called alike.
    """
    from ..datasets.folder import named_images

    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}.")
        if path.is_dir() and path.resolve() == out.resolve():
            raise FileExistsError(
                f"--out {out} is the images' own folder, where maps would count as images; name "
                "another."
            )
        images = named_images(path) if path.is_dir() else {path.stem: path}
        for name, file in images.items():
            if path.is_dir() and file.parent.resolve() == out.resolve():
                continue
            if name in found:
                raise ValueError(f"{file} and {found[name]} would have maps of one name.")
            found[name] = file
    if not found:
        raise FileNotFoundError(f"No images in {', '.join(map(str, given))}.")
    return found


def models(
    pattern: Annotated[
        str, typer.Argument(help='Part of the names to list; "timm:" for timm\'s, if installed.')
    ] = "",
    json: Json = False,
) -> None:
    """List models that `predict` can draw maps with, and encoders that can be looked into.

    With the images they take, the licence of their weights, and whom to cite. --json answers with a
    list of {name, kind (classical, trained or encoder), takes, licence, source}.

    \b
    Examples:
      saliencykit models
      saliencykit models vgg
      saliencykit models timm:convnext
      saliencykit models --json | jq -r '.[] | select(.kind == "classical") | .name'
    """
    from ..models import catalogue
    from ..running.checking import table

    found = catalogue(pattern)
    if json:
        say([row._asdict() for row in found])
        return
    header = ("model", "kind", "images it takes", "licence of its weights", "source")
    typer.echo("\n".join(table(header, found)))


def evaluate(
    maps: Annotated[Path, typer.Option(help="Folder of maps called like the images.")],
    data: Data,
    split: Split = "val",
    metrics: Annotated[str, typer.Option(help="With commas between; all if empty.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: a row an image and metric.")
    ] = None,
    json: Json = False,
) -> None:
    """Score somebody else's saliency maps with all metrics, beside the centre prior and people.

    Maps are <image name>.npy or .png, of any size, in grey. Means over images come with 95 %
    intervals. Nothing is written over but what the same command wrote there and nobody has changed
    since.

    --json answers with {data, split, images, scores}; scores is a list of {metric, model, mean,
    low, high, images}, these being the images that the mean is over.

    \b
    Examples:
      saliencykit evaluate --maps their_maps --data osie
      saliencykit evaluate --maps maps --data toyworld --metrics nss,auc --out scores.csv
      saliencykit evaluate --maps their_maps --data osie --json > scores.json
    """
    from ..datasets import load
    from ..evaluation import DEFAULT_METRICS, file_maps, human_ceiling, prior_maps, summary
    from ..evaluation import evaluate as score
    from ..metrics import ARRAY_METRICS
    from ..models import CentrePrior
    from ..running.checking import table

    if out is not None:
        check_out("evaluate", out)
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
        with written("evaluate", out) as part:
            found.to_csv(part, index=False)
    told = summary(found[found["metric"].isin(names)])
    if json:
        scores = told[["metric", *told.columns.drop("metric")]].to_dict("records")
        say({"data": data, "split": split, "images": len(chosen), "scores": scores})
        return
    means = told.set_index(["metric", "model"])
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
    check_name("split", split, completing.PARTS)
    part = data if split == "all" else data.split(split)
    if not len(part):
        sizes = ", ".join(f"{name} {len(data.split(name))}" for name in ("train", "val", "test"))
        raise ValueError(f"The split {split!r} of {data.name!r} holds no image ({sizes}); try all.")
    return part
