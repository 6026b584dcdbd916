"""The commands `predict`, `models` and `evaluate`, and models by name behind them."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli, datasets, evaluation, models
from saliencykit.models import SaliencyModel, build_encoder, classical
from tests.conftest import Blobs


def call(*args):
    return CliRunner().invoke(cli.app, [str(a) for a in args])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in (("a.png", (40, 60, 3)), ("b.jpg", (50, 30, 3))):
        Image.fromarray(rng.integers(0, 255, shape).astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    trained = SaliencyModel(build_encoder("toyvgg", None), "conv2_2")
    assert models.keep({"fine-tuned, one layer": trained}, "toy", (24, 32)) == [
        "toy/fine-tuned-one-layer"
    ]
    return trained


def test_predict_writes_arrays_and_pictures_as_large_as_the_image(photos, tmp_path):
    done = call("predict", photos, "--model", "centre", "--out", tmp_path / "new" / "maps")
    assert done.exit_code == 0, done.output
    assert "2 maps" in done.output
    values = np.load(tmp_path / "new" / "maps" / "b.npy")
    assert (values.shape, values.dtype) == ((50, 30), np.float32)
    picture = np.array(Image.open(tmp_path / "new" / "maps" / "b.png"))
    assert (picture.shape, picture.min(), picture.max()) == ((50, 30), 0, 255)
    assert np.array_equal(picture.argmax(), values.argmax())
    assert len(list((tmp_path / "new" / "maps").iterdir())) == 4  # nothing temporary left


def test_predict_smooths_when_asked(photos, tmp_path):
    call("predict", photos / "a.png", "--model", "centre", "--out", tmp_path / "s", "--smooth", 0.1)
    expected = classical.saliency("centre", torch.zeros(1, 3, 40, 60), smooth=0.1)[0]
    assert np.allclose(np.load(tmp_path / "s" / "a.npy"), expected, atol=1e-6)


def test_trained_models_are_kept_listed_and_predict(own_models, photos, tmp_path):
    assert "toy/fine-tuned-one-layer" in call("models").output
    done = call(
        "predict", photos / "a.png", "--model", "toy/fine-tuned-one-layer", "--out", tmp_path
    )
    assert done.exit_code == 0, done.output
    image = torch.from_numpy(np.array(Image.open(photos / "a.png"))).permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(image, (24, 32), mode="bilinear", antialias=True)
    image = image / 255
    with torch.inference_mode():  # images as they are resized to learn from
        expected = own_models.eval()(small / 255, (40, 60))[0]
    assert np.allclose(np.load(tmp_path / "a.npy"), expected, atol=1e-5)
    path = models.kept_models()["toy/fine-tuned-one-layer"]
    by_path = models.by_name(path)(image)[0]
    assert np.allclose(np.load(tmp_path / "a.npy"), by_path, atol=1e-6)


def test_a_checkpoint_without_a_size_sees_images_as_they_are(tmp_path):
    torch.manual_seed(0)
    trained = SaliencyModel(build_encoder("toyvgg", None)).eval()
    trained.save(tmp_path / "own.safetensors")
    image = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        expected = trained(image)
    found = models.by_name(tmp_path / "own.safetensors")(image)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("{photos}", "--model", "centr"), "Did you mean 'centre'"),
        (("{photos}", "--model", "gone.safetensors"), "No checkpoint at gone.safetensors"),
        (("{photos}/c.png", "--model", "centre"), "There is no "),
        (("{empty}", "--model", "centre"), "No images in"),
        (("{photos}", "{photos}/a.png", "--model", "centre"), "maps of one name"),
        (("{photos}/notes.txt", "--model", "centre"), "cannot be read as an image"),
    ],
)
def test_predict_explains_what_is_wrong(photos, tmp_path, args, says):
    (tmp_path / "empty").mkdir()
    args = [a.format(photos=photos, empty=tmp_path / "empty") for a in args]
    done = call("predict", *args, "--out", tmp_path / "maps")
    assert done.exit_code == 2
    assert says in done.output


def test_predict_leaves_out_what_it_cannot_read_and_says_so(photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no picture")
    done = call("predict", photos, "--model", "centre", "--out", tmp_path / "maps")
    assert done.exit_code == 2
    assert "broken.jpg cannot be read" in done.output
    assert {p.name for p in (tmp_path / "maps").glob("*.npy")} == {"a.npy", "b.npy"}
    done = call("predict", photos, "--model", "centre", "--out", photos / "a.png")
    assert done.exit_code == 2
    assert "is a file" in done.output


def test_evaluate_explains_an_empty_split_and_a_metric_of_arrays(monkeypatch, tmp_path):
    data = tmp_path / "data" / "folder"
    data.mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(data / "one.png")
    (data / "splits.csv").write_text("image,split\none,train\n")
    (data / "fixations.csv").write_text("image,x,y,observer\none,3,4,0\none,5,6,1\n")
    monkeypatch.setenv("SALIENCYKIT_DATA", str(tmp_path / "data"))
    done = call("evaluate", "--maps", tmp_path, "--data", "folder")
    assert done.exit_code == 2
    assert "'val' of 'folder' holds no image (train 1, val 0, test 0); try all" in done.output
    done = call("evaluate", "--maps", tmp_path, "--data", "folder", "--split", "al")
    assert "Known: train, val, test, all" in done.output
    done = call(
        "evaluate", "--maps", tmp_path, "--data", "folder", "--split", "all", "--metrics", "gsi"
    )
    assert done.exit_code == 2
    assert "gsi is a metric of search arrays" in done.output


def test_evaluate_scores_somebody_else_s_maps(monkeypatch, tmp_path):
    data = Blobs(12)
    monkeypatch.setattr(datasets, "load", lambda name: data)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for i, name in enumerate(data.names):
        Image.fromarray(data.image(i)[0].numpy()).save(theirs / f"{name}.png")
    out = tmp_path / "scores.csv"
    args = ("evaluate", "--maps", theirs, "--data", "blobs", "--split", "val")
    done = call(*args, "--metrics", "nss, auc", "--out", out)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out)
    assert set(table.model) == {"theirs", "centre prior", "human"}
    chosen = data.split("val")
    maps = evaluation.file_maps(theirs, chosen)
    expected = evaluation.evaluate({"theirs": maps}, chosen, ("nss",)).mean("theirs")
    ours = table[(table.model == "theirs") & (table.metric == "nss")].value
    assert ours.mean() == pytest.approx(expected)
    assert f"{expected:.3f} [" in done.output
    assert call(*args, "--metrics", "nsss").exit_code == 2
    assert "Did you mean 'nss'" in call(*args, "--metrics", "nsss").output
    (theirs / f"{chosen.names[0]}.png").unlink()
    assert f"no map for 1 of {len(chosen)} images" in call(*args).output
