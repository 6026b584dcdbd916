"""What there is to choose from: every encoder and saliency model by name, with where it is from."""

from collections.abc import Iterator
from typing import NamedTuple

from ..registry import check_name
from . import classical, from_timm, from_torchvision
from .checkpoints import kept_models
from .encoders import ENCODERS

OURS = "MIT, as this package"
TORCHVISION = "BSD-3-Clause; trained on ImageNet, whose terms are its own"
SWAG = "CC-BY-NC 4.0 (SWAG)"
# By how names begin, the longest that fits.
NETWORKS = {
    "alexnet": "Krizhevsky 2014, arXiv 1404.5997",
    "convnext": "Liu et al. 2022, arXiv 2201.03545",
    "densenet": "Huang et al. 2017, arXiv 1608.06993",
    "efficientnet": "Tan & Le 2019, arXiv 1905.11946",
    "efficientnet_v2": "Tan & Le 2021, arXiv 2104.00298",
    "googlenet": "Szegedy et al. 2015, arXiv 1409.4842",
    "inception_v3": "Szegedy et al. 2016, arXiv 1512.00567",
    "maxvit": "Tu et al. 2022, arXiv 2204.01697",
    "mnasnet": "Tan et al. 2019, arXiv 1807.11626",
    "mobilenet_v2": "Sandler et al. 2018, arXiv 1801.04381",
    "mobilenet_v3": "Howard et al. 2019, arXiv 1905.02244",
    "regnet": "Radosavovic et al. 2020, arXiv 2003.13678",
    "resnet": "He et al. 2016, arXiv 1512.03385",
    "resnext": "Xie et al. 2017, arXiv 1611.05431",
    "shufflenet_v2": "Ma et al. 2018, arXiv 1807.11164",
    "squeezenet": "Iandola et al. 2016, arXiv 1602.07360",
    "swin": "Liu et al. 2021, arXiv 2103.14030",
    "swin_v2": "Liu et al. 2022, arXiv 2111.09883",
    "toyvgg": "this package: VGG's shape, taught to name toyworld's objects",
    "vgg": "Simonyan & Zisserman 2015, arXiv 1409.1556",
    "vit": "Dosovitskiy et al. 2021, arXiv 2010.11929",
    "wide_resnet": "Zagoruyko & Komodakis 2016, arXiv 1605.07146",
}
CLASSICAL = {
    "aim": "Bruce & Tsotsos 2009, Journal of Vision 9(3):5",
    "bms": "Zhang & Sclaroff 2016, TPAMI",
    "centre": "a Gaussian",
    "covsal": "Erdem & Erdem 2013, Journal of Vision 13(4):11",
    "gbvs": "Harel, Koch & Perona 2006, NIPS",
    "image_signature": "Hou, Harel & Koch 2012, TPAMI",
    "itti_koch": "Itti, Koch & Niebur 1998, TPAMI",
    "spectral_residual": "Hou & Zhang 2007, CVPR",
}
ONE_SIZE = ("maxvit", "vit")  # torchvision's that take images of one size, to which all are brought

SMALLEST = {"inception_v3": "from 75 × 75"}  # torchvision's that need more than 32 × 32 pixels


class Listed(NamedTuple):
    """A row of the catalogue.

    `kind`: "classical", "trained" (both draw maps) or "encoder"; `takes`: images, height × width,
    in pixels; `licence` of its weights; `source`: who made it, or where it lies.
    """

    name: str
    kind: str
    takes: str
    licence: str
    source: str


def catalogue(pattern: str = "") -> list[Listed]:
    """Return the models and encoders whose names contain `pattern`: timm's if it begins "timm:".

    Raises UnknownNameError with the nearest name if there is none; ImportError where timm is asked
    for and missing.
    """
    timm = pattern.startswith(from_timm.PREFIX)
    known = from_timm.names() if timm else [row.name for row in _all()]
    found = [name for name in known if pattern in name]
    if not found:
        check_name("model", pattern, known)
    return list(map(_timm, found)) if timm else [row for row in _all() if row.name in found]


def _all() -> Iterator[Listed]:
    for name in classical.names():
        settings = ", ".join(f"{k} {v}" for k, v in classical.parameters(name).items())
        source = CLASSICAL.get(name, "")
        yield Listed(name, "classical", "any", "", f"{source}{settings and f'; {settings}'}")
    for name, path in kept_models().items():
        yield Listed(name, "trained", "resized to what it learned from", "yours", str(path))
    for name in ENCODERS:
        yield Listed(name, "encoder", "any", OURS if name == "toyvgg" else "", _source(name))
    for name in from_torchvision.names():
        yield _torchvision(name)


def _torchvision(name: str) -> Listed:
    about = from_torchvision.zoo().get_model_weights(name)["DEFAULT"].meta
    height, width = about["min_size"]  # of the classifier; without a head others take less
    takes = f"resized to {height} × {width}" if name.startswith(ONE_SIZE) else "any"
    takes = SMALLEST.get(name, takes)
    licence = SWAG if "license" in about else TORCHVISION
    return Listed(name, "encoder", takes, licence, _source(name))


def _timm(name: str) -> Listed:
    about = from_timm.about(name)
    height, width = about.input_size[1:]
    source = ", ".join(filter(None, (about.paper_name, about.paper_ids, about.hf_hub_id)))
    takes = f"made for {height} × {width}"
    return Listed(name, "encoder", takes, about.license or "not stated", source or "timm")


def _source(name: str) -> str:
    return NETWORKS.get(max((k for k in NETWORKS if name.startswith(k)), key=len, default=""), "")
