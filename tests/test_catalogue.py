"""What there is to choose from, listed with licence and source."""

import sys

import pytest
import torchvision
from typer.testing import CliRunner

from saliencykit import cli
from saliencykit.models import catalogue, classical, encoder_names
from saliencykit.registry import UnknownNameError
from tests.test_encoder_families import FAMILIES, SMALLEST


def call(*args):
    return CliRunner().invoke(cli.app, ["models", *args])


def rows(pattern=""):
    return {row.name: row for row in catalogue(pattern)}


def test_every_model_and_encoder_is_listed_with_its_source():
    listed = rows()
    assert set(listed) >= {*classical.names(), *encoder_names()}
    assert [name for name, row in listed.items() if not row.source] == []
    for name in encoder_names():
        assert listed[name].kind == "encoder"
        assert listed[name].licence
    assert listed["gbvs"].kind == "classical"
    assert "Harel" in listed["gbvs"].source
    assert "salmapmaxsize 32" in listed["gbvs"].source  # how it can be set
    assert "2104.00298" in listed["efficientnet_v2_s"].source
    assert "1905.11946" in listed["efficientnet_b0"].source


def test_licences_are_those_that_the_weights_have():
    listed = rows()
    swag = {name for name in encoder_names() if "SWAG" in listed[name].licence}
    assert swag == {
        name
        for name in torchvision.models.list_models(module=torchvision.models)
        if "SWAG" in str(torchvision.models.get_model_weights(name)["DEFAULT"])
    }
    assert "vit_h_14" in swag


def test_sizes_are_those_that_networks_take():
    listed = rows()
    for name, (_, fixed) in FAMILIES.items():
        assert (listed[name].takes == "resized to 224 × 224") == (fixed == (224, 224))
    for name, side in SMALLEST.items():
        assert listed[name].takes == f"from {side} × {side}"
    assert {row.takes for name, row in listed.items() if FAMILIES.get(name, (0, 1))[1] is None} == {
        "any",
        *(f"from {side} × {side}" for side in SMALLEST.values()),
    }
    assert "trained on ImageNet" in listed["resnet18"].licence


def test_a_pattern_chooses():
    assert set(rows("vgg")) == set(encoder_names("vgg"))
    with pytest.raises(UnknownNameError, match="Did you mean 'vgg16'"):
        catalogue("vgg_16")
    done = call("squeezenet")
    assert done.exit_code == 0, done.output
    header, *lines = done.output.splitlines()
    assert header.split("  ")[1:2] == ["model"]
    assert [line.split()[0] for line in lines] == ["squeezenet1_0", "squeezenet1_1"]
    assert "Iandola et al. 2016, arXiv 1602.07360" in lines[0]


def test_timm_s_are_listed_when_asked_for():
    timm = pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    assert not any(name.startswith("timm:") for name in rows())
    row = rows("timm:test_res")["timm:test_resnet"]
    assert row.licence == timm.get_pretrained_cfg("test_resnet").license == "apache-2.0"
    assert row.takes == "made for 160 × 160"
    done = call("timm:resnett18")
    assert done.exit_code == 2
    assert "Did you mean 'timm:resnet18'" in done.stderr
    assert len(done.stderr) < 1000  # of a thousand names the nearest


def test_without_timm_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    done = call("timm:")
    assert done.exit_code == 2
    assert "pip install 'saliencykit[timm]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
