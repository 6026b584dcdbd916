"""Small inputs on which readers go wrong, with the right answers, where they are at hand."""

import json

import numpy as np
import pytest

from saliencykit import datasets, metrics
from saliencykit.paths import ROOT
from saliencykit.reading.maps import check_turned, read_map
from saliencykit.reading.pictures import read_image

FOLDER = ROOT.parent / "shared" / "cases"


@pytest.fixture(scope="module")
def right():
    if not FOLDER.is_dir():
        pytest.skip("no shared/cases beside the repository")
    return json.loads((FOLDER / "right.json").read_text())


def test_maps_score_as_they_should_or_are_refused(right):
    fixations = np.zeros(right["image_size"])
    for x, y in right["fixations_xy"]:
        fixations[y, x] += 1
    for name, case in right["maps"].items():
        path = FOLDER / "maps" / name
        if case["right"] == "refused":
            with pytest.raises(ValueError, match=name):
                check_turned(path, read_map(path).shape, fixations.shape)
            continue
        found = read_map(path)
        said = {
            m: float(metrics.METRICS[m](found, {"fixations": fixations})) for m in ("nss", "auc")
        }
        assert said == pytest.approx(case["right"], abs=2e-3), name


def test_pictures_are_upright_and_as_bright_as_they_are(right):
    for name, case in right["images"].items():
        pixels = read_image(FOLDER / "images" / name)
        if "shape" in case["right"]:
            assert list(pixels.shape[1:]) == case["right"]["shape"], name
        else:
            assert pixels.float().mean() == pytest.approx(case["right"]["mean_grey_8bit"], abs=0.5)


def test_fractions_for_pixels_are_refused(right):
    assert "fractions" in right["tables"]["zero_to_one"]["right"]
    with pytest.raises(ValueError, match="fractions of the image's sides"):
        datasets.load("folder", FOLDER / "tables" / "zero_to_one")


@pytest.mark.filterwarnings("ignore:.*at exactly")
@pytest.mark.parametrize("name", ["comma_in_first_row", "observers_are_dates"])
def test_fixations_are_where_and_whose_the_table_says(right, name):
    folder = FOLDER / "tables" / name
    rows = [line.split(",")[:4] for line in (folder / "fixations.csv").read_text().split()[1:]]
    data = datasets.load("folder", folder)
    looks = [data.fixations(i) for i in range(len(data))]
    for image, one in zip(data.names, looks, strict=True):
        here = [(float(x), float(y)) for about, x, y, _ in rows if about == image]
        assert list(zip(one.x.tolist(), one.y.tolist(), strict=True)) == here
    if name == "observers_are_dates":
        asked = right["tables"][name]["right"]
        assert sum(map(len, looks)) == asked["fixations"]
        assert {int(o) for one in looks for o in one.observer} == set(range(asked["observers"]))
