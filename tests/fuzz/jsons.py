"""Odd and broken annotations, with what is right for each."""

import json
import unicodedata
import warnings
from typing import NamedTuple

import numpy as np

from saliencykit import datasets
from saliencykit.registry import UnknownNameError
from tests import miniature

NAMES = ("a", "b", "é")
CATEGORIES = ("sign", "Straße", "sky")
REFUSALS = (ValueError, FileNotFoundError, UnknownNameError)
OTHER = ("no", "", 0, 1, None, [], {}, [[]], "1", 1.5, [1, 2], {"a": 1}, True, 10**30, 1e300)
RIGHT = ("plain", "accents", "suffixes", "more", "marked", "escaped")
WRONG = (
    *("type", "twice", "same region", "two names", "deep", "digits", "constant", "cut", "half"),
    *("categories", "size", "unknown", "latin", "list"),
)


class Annotation(NamedTuple):
    """A file's bytes, and the regions in it by image; None: to be refused."""

    content: bytes
    right: dict[str, list[tuple[str, bool, list[list[float]]]]] | None


def inputs(seed, folder):
    """Write three small images and return a regions.json about them."""
    random = np.random.default_rng(seed)
    for name in NAMES:
        if not (folder / f"{name}.png").exists():
            miniature.write_image(folder / f"{name}.png", (60, 80))
    odd = str(random.choice([*RIGHT, *WRONG]))
    images = {name: [_region(random) for _ in range(random.integers(1, 4))] for name in NAMES}
    right = {n: [(r["category"], r["sure"], r["polygon"]) for r in rs] for n, rs in images.items()}
    content = {"categories": list(CATEGORIES), "images": images}
    text = _text(odd, content, random)
    raw = text.encode("latin-1" if odd == "latin" else "utf-8")
    return Annotation(raw, right if odd in RIGHT else None)


def _region(random):
    polygon = random.uniform(0, 59, (random.integers(3, 7), 2)).round(2).tolist()
    return {
        "category": str(random.choice(CATEGORIES)),
        "polygon": polygon,
        "sure": bool(random.integers(2)),
    }


def _text(odd, content, random):
    images, name = content["images"], str(random.choice(NAMES))
    region = images[name][0]
    if odd == "type":
        part = str(random.choice(["category", "polygon", "sure"]))
        region[part] = _other(part, random)
    if odd == "same region":
        images[name].append(dict(region))
    if odd == "two names":
        images[f"{name}.png"] = []
    if odd == "suffixes":
        content["images"] = {f"{n}.png": rs for n, rs in images.items()}
    if odd == "more":
        content["made by"], region["fixations"] = "hand", 7
    if odd == "categories":
        content["categories"] = [*CATEGORIES, random.choice([*CATEGORIES, ""])]
    if odd == "size":
        content["image_size"] = [OTHER[random.integers(len(OTHER) - 2)], "60"]
    if odd == "unknown":
        region["category"] = "sing"
    if odd == "list":
        content["images"] = [content["images"]]
    text = json.dumps(content, ensure_ascii=odd == "escaped")
    quoted = json.dumps(name, ensure_ascii=odd == "escaped")
    if odd == "accents":
        return unicodedata.normalize("NFD", text)
    return {
        "marked": "\ufeff" + text,
        "twice": text.replace(f"{quoted}:", f"{quoted}: [], {quoted}:"),
        "deep": text.replace(
            f"{quoted}: [", f"{quoted}: [" + "[" * int(random.integers(1000, 9**5))
        ),
        "digits": text.replace('"polygon": [[', '"polygon": [[' + "9" * 5000, 1),
        "constant": text.replace('"polygon": [[', '"polygon": [[NaN, Infinity], [', 1),
        "cut": text[: int(random.integers(1, len(text)))],
        "half": text.replace('"sign"', '"\\ud800"', 1).replace('"sky"', '"\\udfff"', 1),
    }.get(odd, text)


def _other(part, random):
    fits = {"category": lambda v: False, "polygon": lambda v: False, "sure": lambda v: v is True}
    return [v for v in OTHER if not fits[part](v)][random.integers(len(OTHER) - 1)]


def judge(annotation, folder):
    """Read an annotation as a user's folder is read; return what became of it."""
    path = folder / "regions.json"
    path.write_bytes(annotation.content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = datasets.load("folder", folder)
            found = {name: data.regions(i) for i, name in enumerate(data.names)}
        except REFUSALS as error:
            told = path.name in str(error) and len(str(error)) < 1000
            return ("refused" if annotation.right is None else "wrong") if told else "traceback"
        except Exception:
            return "traceback"
    if annotation.right is None:
        return "wrong"
    got = {n: [(r.category, r.sure, r.polygon.tolist()) for r in rs] for n, rs in found.items()}
    if sum(map(len, got.values())) < sum(map(len, annotation.right.values())):
        return "lost"
    return "right" if got == annotation.right else "wrong"


def trial(seed, folder):
    """Return what became of the annotation number `seed`."""
    return judge(inputs(seed, folder), folder)
