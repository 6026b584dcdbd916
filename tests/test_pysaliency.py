"""pysaliency's data and models here, ours there: the same pixels, the same scores."""

import builtins
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import saliencykit as sk
from saliencykit.datasets import Fixations, from_pysaliency, to_pysaliency
from tests import miniature
from tests.conftest import Blobs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pysaliency = pytest.importorskip("pysaliency", reason="the extra pysaliency is not installed")

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def needs_files():
    pytest.importorskip("h5py", reason="h5py, which pysaliency's files need, is not installed")


class Trials(Blobs):
    """Blobs of two sizes, looked at in sequence."""

    def fixations(self, i):
        here = super().fixations(i)
        if not len(here):
            return here
        order = np.arange(len(here)) // 4  # of four observers in turn
        return Fixations.of(here.x, here.y, here.observer, order, 0.1 + order / 100)


def pairs(fixations):
    """All that is known of fixations, as rows in an order that does not matter."""
    columns = [c for c in vars(fixations).values() if c is not None]
    return sorted(zip(*(c.tolist() for c in columns), strict=True))


def stimuli_and_fixations():
    """What pysaliency's users have: a colour and a grey stimulus, and trains of fixations."""
    random = np.random.default_rng(0)
    colour = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    grey = random.integers(0, 256, (20, 50), dtype=np.uint8)
    fixations = pysaliency.FixationTrains.from_fixation_trains(
        [[1.5, 39.9, 3], [0, 7], [49.5]],
        [[2.5, 29.0, 3], [0.99, 8], [19.5]],
        [[0, 1, 2], [0, 1], [0]],
        [0, 0, 1],
        [7, 3, 7],
        scanpath_fixation_attributes={"durations": [[0.2, 0.3, 0.25], [0.1, 0.4], [0.5]]},
        scanpath_attribute_mapping={"durations": "duration"},
    )
    return pysaliency.Stimuli([colour, grey]), fixations


# --- data ---------------------------------------------------------------------------------------


def test_trains_become_fixations_with_order_and_duration():
    stimuli, fixations = stimuli_and_fixations()
    data = from_pysaliency(stimuli, fixations, name="theirs")
    assert (data.name, data.names, len(data)) == ("theirs", ["0", "1"], 2)
    assert torch.equal(data.image(0).permute(1, 2, 0), torch.from_numpy(stimuli[0].stimulus_data))
    grey = torch.from_numpy(stimuli[1].stimulus_data)
    assert torch.equal(data.image(1), grey.expand(3, -1, -1))
    assert [data.size_of(i) for i in range(2)] == [(30, 40), (20, 50)]
    look = data.fixations(0)
    assert pairs(look) == [
        (0.0, 0.99, 0, 0, 0.1),
        (1.5, 2.5, 1, 0, 0.2),
        (3.0, 3.0, 1, 2, 0.25),
        (7.0, 8.0, 0, 1, 0.4),
        (39.9, 29.0, 1, 1, 0.3),
    ]
    assert data[1].fixations.x.tolist() == [49.5]
    assert data.subset(["1"])[0].fixations.x.tolist() == [49.5]
    assert {data.split_of(name) for name in data.names} <= {"train", "val", "test"}


def test_fixations_without_history_have_no_order():
    stimuli, _ = stimuli_and_fixations()
    fixations = pysaliency.Fixations.create_without_history([1, 2.0], [3, 4.0], [1, 1])
    data = from_pysaliency(stimuli, fixations)
    look = data.fixations(1)
    assert (look.x.tolist(), look.order, look.duration) == ([1, 2], None, None)
    assert look.observer.tolist() == [0, 0]
    assert data.pooled  # nobody says whose they are
    assert not from_pysaliency(*stimuli_and_fixations()).pooled


def test_fixations_of_a_later_pysaliency_are_read_too():
    stimuli, _ = stimuli_and_fixations()
    fixations = SimpleNamespace(  # the attributes that ScanpathFixations of 0.3 have
        x=[1.0, 2], y=[3.0, 4], n=[1, 1], subject=[5, 5], scanpath_history_length=[1, 0]
    )
    look = from_pysaliency(stimuli, fixations).fixations(1)
    assert (look.order.tolist(), look.observer.tolist()) == ([1, 0], [0, 0])
    fixations.subject = None
    assert from_pysaliency(stimuli, fixations).fixations(1).observer.tolist() == [0, 0]


def test_filtered_trains_keep_the_order_they_had():
    stimuli, fixations = stimuli_and_fixations()
    late = fixations[fixations.lengths > 0]
    assert from_pysaliency(stimuli, late).fixations(0).order.tolist() == [1, 2, 1]


def test_the_fingerprint_follows_images_and_fixations():
    stimuli, fixations = stimuli_and_fixations()
    same = from_pysaliency(*stimuli_and_fixations()).fingerprint
    other = pysaliency.Stimuli([stimuli.stimuli[0], 255 - stimuli.stimuli[1]])
    moved = fixations.copy()
    moved.x[0] += 1
    assert from_pysaliency(stimuli, fixations).fingerprint == same
    assert from_pysaliency(other, fixations).fingerprint != same
    assert from_pysaliency(stimuli, moved).fingerprint != same


@FEW
@given(st.lists(st.tuples(st.floats(2, 63.99), st.floats(2, 47.99)), min_size=1, max_size=6))
def test_a_pixel_is_the_same_pixel_in_both(places):
    class One(Blobs):
        def fixations(self, i):
            return Fixations.of(*zip(*places, strict=True), order=range(len(places)))

    data = One(1)
    stimuli, fixations = to_pysaliency(data)
    theirs = np.zeros((48, 64))
    np.add.at(theirs, (fixations.y_int, fixations.x_int), 1)
    assert np.array_equal(theirs, data.fixations(0).count_map(48, 64).numpy())
    back = from_pysaliency(stimuli, fixations)
    assert torch.equal(back.image(0), data.image(0))
    assert pairs(back.fixations(0)) == pairs(data.fixations(0))


@pytest.mark.parametrize("kind", [Trials, Blobs])
@pytest.mark.parametrize("written", [False, True])
def test_a_data_set_comes_back_whole(tmp_path, request, kind, written):
    data = kind()
    if written:
        request.getfixturevalue("needs_files")
        to_pysaliency(data, tmp_path / "h5")
        back = from_pysaliency(tmp_path / "h5")
        pair = [tmp_path / "h5" / f for f in ("stimuli.hdf5", "fixations.hdf5")]
        assert from_pysaliency(*pair).fingerprint == back.fingerprint
        assert not hasattr(np, "string_") or np.__version__ < "2"
    else:
        back = from_pysaliency(*to_pysaliency(data))
    assert back.names == data.names
    for i in range(len(data)):
        assert torch.equal(back.image(i), data.image(i))
        assert pairs(back.fixations(i)) == pairs(data.fixations(i))


def test_fixations_outside_are_left_out_with_a_warning():
    class Astray(Blobs):
        def fixations(self, i):
            return Fixations.of([1, 64, np.nan], [1, 1, 1])

    with pytest.warns(UserWarning, match="b00: 2 of 3 fixations"):
        _, fixations = to_pysaliency(Astray(1))
    assert len(fixations) == 1


def test_data_that_nobody_looked_at_comes_back():
    class Unseen(Blobs):
        def fixations(self, i):
            return Fixations.of([], [])

    data = from_pysaliency(*to_pysaliency(Unseen(2)))
    assert [len(data.fixations(i)) for i in range(2)] == [0, 0]


class Shown(Blobs):
    """Blobs with fixations as said, x counting them."""

    def __init__(self, observer, order):
        super().__init__(1)
        self.looks = Fixations.of(range(len(order)), [5] * len(order), observer, order)

    def fixations(self, i):
        return self.looks


@pytest.mark.parametrize(
    ("observer", "order", "trains"),
    [
        ([0] * 4, [0, 1, 0, 1], [[0, 1], [2, 3]]),  # two showings
        ([0] * 3, [0, 0, 1], [[0], [1, 2]]),
        ([0] * 5, [1, 2, 0, 1, 2], [[0, 1], [2, 3, 4]]),  # the first of one lay outside
        ([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 1], [[0, 2], [4], [1, 3], [5]]),
        ([0, 1, 0, 1], [2, 1, 0, 0], [[2, 0], [3, 1]]),  # one showing each, in any row
    ],
)
def test_each_showing_of_an_image_is_a_train(observer, order, trains):
    _, fixations = to_pysaliency(Shown(observer, order))
    assert [x[~np.isnan(x)].tolist() for x in fixations.train_xs] == trains
    times = [t[~np.isnan(t)].tolist() for t in fixations.train_ts]
    assert times == [[order[k] for k in train] for train in trains]


def test_showings_in_mixed_rows_are_refused():
    with pytest.raises(ValueError, match="b00: observer 3 has 2 fixations of order 0 in rows"):
        to_pysaliency(Shown([3] * 4, [0, 0, 1, 1]))


# --- files --------------------------------------------------------------------------------------


def test_files_stay_files_and_are_read_when_asked_for(tmp_path, needs_files):
    miniature.write_folder(tmp_path / "images", n=3)
    data = sk.datasets.load("folder", tmp_path / "images")
    stimuli, _ = to_pysaliency(data, tmp_path / "h5")
    assert isinstance(stimuli, pysaliency.FileStimuli)
    for file in (tmp_path / "images").glob("*.png"):
        file.write_bytes(b"not an image")  # so whoever reads one before it is asked for, fails
    back = from_pysaliency(tmp_path / "h5")
    assert back.names == data.names
    assert back.size_of(0) == (90, 120)
    assert pairs(back.fixations(1)) == pairs(data.fixations(1))
    with pytest.raises(ValueError, match=r"photo1\.png cannot be read"):
        back.image(1)
    (tmp_path / "images" / "photo2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 3 files are not there.*photo2\.png"):
        from_pysaliency(tmp_path / "h5")


def test_files_that_others_read_otherwise_go_as_pixels(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    random = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(random).save(tmp_path / "turned.jpg", exif=turned)
    data = sk.datasets.load("folder", tmp_path)
    stimuli, _ = to_pysaliency(data)
    assert not isinstance(stimuli, pysaliency.FileStimuli)
    assert stimuli[0].size == data.size_of(0)
    assert np.array_equal(stimuli[0].stimulus_data, data.image(0).permute(1, 2, 0).numpy())


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        miniature.write_image(tmp_path / name, (20, 30))
    stimuli = pysaliency.FileStimuli([str(tmp_path / n) for n in ("a/1.png", "b/1.png")])
    fixations = pysaliency.Fixations.create_without_history([1], [1], [0])
    assert from_pysaliency(stimuli, fixations).names == ["a/1", "b/1"]


def test_a_folder_is_a_data_set_by_name(tmp_path, needs_files):
    with pytest.raises(FileNotFoundError, match=r"no stimuli\.hdf5 in"):
        sk.datasets.load("pysaliency", tmp_path)
    to_pysaliency(Trials(2), tmp_path)
    data = sk.datasets.load("pysaliency", tmp_path)
    assert (data.name, data.names) == ("pysaliency", ["b00", "b01"])
    assert pairs(data.fixations(1)) == pairs(Trials(2).fixations(1))


def test_nothing_is_written_over(tmp_path, needs_files):
    to_pysaliency(Blobs(1), tmp_path)
    before = (tmp_path / "stimuli.hdf5").read_bytes()
    with pytest.raises(FileExistsError, match=r"stimuli\.hdf5 is there"):
        to_pysaliency(Blobs(2), tmp_path)
    assert (tmp_path / "stimuli.hdf5").read_bytes() == before


# --- bad input ----------------------------------------------------------------------------------


def test_data_without_images_are_refused():
    stimuli, fixations = stimuli_and_fixations()
    with pytest.raises(ValueError, match="without images: stimuli is None"):
        from_pysaliency(None, fixations)
    with pytest.raises(ValueError, match="on stimuli 0 to 1, but there are 1, numbered from 0"):
        from_pysaliency(stimuli[:1], fixations)
    with pytest.raises(ValueError, match="to be pysaliency's Stimuli, not FixationTrains"):
        from_pysaliency(fixations, stimuli)
    with pytest.raises(ValueError, match="to be pysaliency's Fixations, not NoneType"):
        from_pysaliency(stimuli)


def test_files_that_are_none_are_named(tmp_path, needs_files):
    with pytest.raises(FileNotFoundError, match=r"stimuli\.hdf5 is not there"):
        from_pysaliency(tmp_path)
    (tmp_path / "stimuli.hdf5").write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match=r"stimuli\.hdf5 is no HDF5 file of pysaliency"):
        from_pysaliency(tmp_path)


def test_a_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "pysaliency")
    real = builtins.__import__

    def none(name, *args, **kwargs):
        if name.partition(".")[0] == "pysaliency":
            raise ImportError("no such module")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", none)
    monkeypatch.setattr("importlib.import_module", none)
    with pytest.raises(ImportError, match=r'pip install "saliencykit\[pysaliency\]"'):
        to_pysaliency(Blobs(1))


@pytest.mark.slow
def test_nobody_imports_pysaliency_who_does_not_ask():
    code = (
        "import sys, saliencykit.evaluation; "
        "print([m for m in ('pysaliency', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- models -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return Trials(4)


@pytest.mark.parametrize("whose", ["ours", "theirs", "density"])
def test_a_model_scores_alike_in_both_packages(small, whose):
    if whose == "ours":
        ours = sk.evaluation.classical_maps("image_signature", small)
        theirs = sk.models.to_pysaliency("image_signature")
    elif whose == "theirs":
        theirs = pysaliency.GaussianSaliencyMapModel(center_x=0.3, width=0.2)
        ours = sk.models.from_pysaliency(theirs)
    else:
        density = pysaliency.models.GaussianModel(width=0.2)
        ours = sk.models.from_pysaliency(density)
        theirs = pysaliency.DensitySaliencyMapModel(density)
    found = sk.evaluation.evaluate({"m": ours}, small, ("nss", "auc"))
    stimuli, fixations = to_pysaliency(small)
    for k, name in enumerate(small.names):
        here = fixations[fixations.n == k]
        nss, auc = theirs.NSSs(stimuli, here).mean(), theirs.AUCs(stimuli, here, "uniform").mean()
        assert found.score("m", name, "nss") == pytest.approx(nss, abs=1e-6)
        assert found.score("m", name, "auc") == pytest.approx(auc, abs=1e-6)


def test_a_network_of_ours_is_a_model_of_theirs(small):
    network = sk.models.SaliencyModel(sk.models.build_encoder("toyvgg", weights=None))
    theirs = sk.models.to_pysaliency(network)
    image = small.image(0)
    with torch.inference_mode():
        want = network.eval()(image[None].float() / 255)[0]
    given_ = image.permute(1, 2, 0).numpy()
    np.testing.assert_allclose(theirs.saliency_map(given_), want.numpy(), atol=1e-6)


def test_their_models_see_their_own_stimuli():
    stimuli, fixations = stimuli_and_fixations()
    known = {stimulus.stimulus_id: stimulus.size for stimulus in stimuli}

    class Remembering(pysaliency.SaliencyMapModel):
        """Like models of maps in files, which know the stimuli that they were made for."""

        def _saliency_map(self, stimulus):
            raise AssertionError("it has no pixels to go by")

        def saliency_map(self, stimulus):
            return np.random.default_rng(0).random(known[stimulus.stimulus_id])

    data = from_pysaliency(stimuli, fixations)
    model = sk.models.from_pysaliency(Remembering())
    found = sk.evaluation.evaluate({"m": model}, data, ("nss",))
    assert np.isfinite(found.scores["value"]).all()


def test_a_class_that_was_not_called_is_refused():
    with pytest.raises(ValueError, match=r"as in GaussianSaliencyMapModel\(\)"):
        sk.models.from_pysaliency(pysaliency.GaussianSaliencyMapModel)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="neither saliency_map nor log_density"):
        sk.models.from_pysaliency("gbvs")
