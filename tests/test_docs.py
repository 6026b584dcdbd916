"""What docs/ shows works: examples run, names and files exist."""

import re

import pytest
import torch

import saliencykit
from saliencykit import datasets, metrics, models
from saliencykit.models import classical
from saliencykit.paths import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))


def blocks(path, language):
    return re.findall(
        rf"^ *```{language}\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.S | re.M
    )


def test_the_example_of_a_classical_model_is_one():
    (source,) = blocks(ROOT / "docs" / "classical_model.md", "python")
    source = source.replace("from .", "from saliencykit.models.classical.")
    try:
        exec(source, {})
        maps = classical.saliency("edges", torch.rand(2, 3, 40, 50))
        assert maps.shape == (2, 40, 50)
        assert (maps >= 0).all()
        flat = classical.saliency("edges", torch.full((1, 3, 40, 50), 0.5))
        assert flat.min() == flat.max()
    finally:
        classical.CLASSICAL.pop("edges", None)


def test_encoders_named_in_the_docs_can_be_built():
    for name in ("resnet18", "mobilenet_v2@0.5", "mobilenet_v2+gbvs"):
        encoder = models.build_encoder(name, None)
        asked = {
            "resnet18": ["layer2.1", "layer3.1", "layer4.1"],
            "mobilenet_v2@0.5": ["features.13@0.5"],
            "mobilenet_v2+gbvs": ["contrast"],
        }[name]
        assert set(asked) <= set(encoder.layers)


def test_the_examples_of_encoders_run():
    pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    text, *rest = blocks(ROOT / "docs" / "own_encoder.md", "python")
    space = {"sk": saliencykit}
    exec("\n".join([text.replace('"imagenet"', "None"), *rest]), space)  # nothing is downloaded
    assert space["enc"].layers == ["backbone.0"]
    assert set(space["found"].scores) == {"backbone.1", "backbone.3"}


def test_metrics_named_in_the_docs_are_all_there_are():
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| [^|]+ \| `(\w+)\(", text, re.M))
    assert named == set(metrics.names())


def test_data_sets_and_files_named_in_the_docs_exist():
    text = " ".join(path.read_text(encoding="utf-8") for path in DOCS)
    assert set(re.findall(r"saliencykit fetch (\w+)", text)) <= set(datasets.names())
    for name in re.findall(r"`((?:saliencykit|tests|notebooks|datasets)/[\w/.]+\.\w+)`", text):
        place = ROOT / ("saliencykit" if name.startswith("datasets/") else "") / name
        assert place.is_file(), name


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.stem)
def test_every_page_is_linked_from_the_readme(path):
    assert f"(docs/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
