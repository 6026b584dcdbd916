"""`saliencykit cache tensorboard`: learning curves, read back as TensorBoard reads them."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import torch
from typer.testing import CliRunner

from saliencykit import cache, cli, holdings, models, sources
from saliencykit.cli import cache as command
from saliencykit.holdings import curves


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def board():
    return pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard, an optional extra, is not installed",
    ).EventAccumulator


def call(*args):
    return CliRunner().invoke(cli.app, ["cache", "tensorboard", *map(str, args)])


def curve(epochs, validation=True):
    return [
        {"epoch": k, "train": k / 7, **({"validation": k / 9} if validation else {}), "seconds": 60}
        for k in range(1, epochs + 1)
    ]


def trained(epochs, seed=0, kind="training", **key):
    """An entry as `models.train` leaves it."""
    key = {"encoder": "<vgg16 (imagenet): 13 layers>", "settings": {"seed": seed}, **key}
    entry = cache.Entry({"w": torch.ones(2)}, {"curve": curve(epochs)})
    cache.cached(kind, key, lambda: entry, about={})
    return cache.entry_path(kind, key)


def held(run, board):
    """Every scalar of a run: (epoch, value) by name."""
    found = board(str(run)).Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def test_a_real_training_s_curve_is_read_back(board, blobs, tmp_path):
    encoder = models.build_encoder("toyvgg", None)
    settings = models.Settings(size=(24, 32), epochs=2, batch=4, frozen=True, seed=5)
    _, table = models.train(encoder, blobs.split("train"), blobs.split("val"), "conv2_2", settings)
    done = call(tmp_path / "runs")
    assert done.exit_code == 0, done.output
    assert "2 epochs are new, of 1 trainings" in done.output
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("toyvgg_untrained_blobs_conv2_2_Saliency_frozen_seed_5_")
    for name in ("train", "validation", "seconds"):
        told = held(run, board)[name]
        assert [step for step, _ in told] == [1, 2]
        assert [value for _, value in told] == pytest.approx(table[name].tolist(), rel=1e-6)


def test_what_is_there_is_not_written_again(board, tmp_path):
    trained(3)
    assert "3 epochs are new" in call(tmp_path).output
    trained(2, seed=1)
    assert "2 epochs are new, of 2 trainings" in call(tmp_path).output
    assert "0 epochs are new, of 2 trainings" in call(tmp_path).output
    for run in (run for run in tmp_path.iterdir() if run.name.startswith("vgg16")):
        steps = [step for step, _ in held(run, board)["train"]]
        assert steps == list(range(1, len(steps) + 1))


def test_epochs_end_one_after_the_other(board, tmp_path):
    path = trained(3)
    call(tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name == f"vgg16_imagenet_seed_0_{path.stem}"
    times = [event.wall_time for event in board(str(run)).Reload().Scalars("train")]
    (entry,) = holdings.holdings()
    assert times == pytest.approx([entry.when.timestamp() - after for after in (120, 60, 0)])


def test_only_trainings_and_those_that_are_asked_for(board, tmp_path):
    trained(2, data="<osie: 400 images>")
    trained(2, data="<crowd: 9 images>")
    trained(2, kind="dissection")
    assert "2 epochs are new, of 1 trainings" in call(tmp_path / "runs", "--with", "OSIE").output
    (run,) = (tmp_path / "runs").iterdir()
    assert "osie" in run.name


def test_a_training_is_followed(board, tmp_path, monkeypatch):
    """Under way, interrupted, gone on with and done: one run, each epoch once."""
    key = {"encoder": "<net: 2 layers>", "settings": {"seed": 3}}
    path = cache.entry_path("training", key)
    looks = []

    def train(killed_after=None):
        def compute():
            for epoch in (1, 2):
                state = cache.Entry({}, {"epoch": epoch, "curve": curve(epoch)})
                cache.write(path.with_suffix(".partial"), state)
                if epoch == killed_after:
                    raise RuntimeError("killed")
            return cache.Entry({}, {"curve": curve(2)})

        cache.cached("training", key, compute, about={})

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            with pytest.raises(RuntimeError, match="killed"):
                train(killed_after=1)
        elif len(looks) == 2:
            train()
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", sleep)
    done = call(tmp_path / "runs", "--follow")
    assert done.exit_code == 0
    assert looks == [command.SECONDS] * 3
    assert done.output.count("1 epochs are new, of 1 trainings") == 2
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name == f"net_seed_3_{path.stem}"
    assert [step for step, _ in held(run, board)["train"]] == [1, 2]


def test_what_is_kept_of_a_computation_under_way_tells_what_it_is_of():
    key, other = {"seed": 2}, cache.entry_path("training", {"seed": 4})
    path = cache.entry_path("training", key).with_suffix(".partial")

    def compute():
        for place in (path, other.with_suffix(".partial")):
            cache.write(place, cache.Entry({}, {"epoch": 1}))
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        cache.cached("training", key, compute, about={})
    found = {one.path: one for one in holdings.holdings()}
    assert (found[path].words, found[path].whole) == ("seed 2", False)
    assert found[other.with_suffix(".partial")].words == "not told"
    cache.write(path, cache.Entry({}, {"epoch": 2}))  # by nobody who computes
    assert holdings.held(path, f"training/{path.name}").words == "not told"


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"curve": 3},
        {"curve": [3]},
        {"curve": [{"epoch": 1}]},
        {"curve": [{"epoch": "x", "seconds": 1}]},
        {"curve": [{"epoch": 1, "seconds": [2]}]},
        {"curve": [{"epoch": float("inf"), "seconds": 1}]},
    ],
)
def test_what_tells_no_curve_gives_no_run(board, tmp_path, meta):
    cache.cached("training", {"k": 1}, lambda: cache.Entry({}, meta), about={})
    assert "0 epochs are new" in call(tmp_path / "runs").output
    assert not (tmp_path / "runs").exists()


def test_what_is_gone_when_it_is_read_gives_no_run(board, tmp_path):
    path = trained(2)
    found = holdings.holdings()
    path.unlink()
    assert curves.write_events(found, tmp_path / "runs", {}) == 0


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"encoder": "../../etc", "data": "/root", "layers": ["..", "a/b"], "settings": "…"},
        {"encoder": "x" * 999, "settings": {"seed": "/"}, "layers": {"a": 1}, "task": [["s"], "/"]},
    ],
)
def test_a_run_lies_in_its_folder_whatever_an_entry_says(key):
    made = {"key": key}
    now = datetime.now(UTC) - timedelta(1)
    path = cache.entry_path("training", key)
    one = holdings.Holding(path, "training/x", 1, now, True, True, made)
    name = curves.run_name(one)
    assert "/" not in name
    assert len(name) < 200
    assert name.endswith(path.stem)
    assert name not in (".", "..")


def test_where_tensorboard_is_missing_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    trained(1)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = call(tmp_path / "runs")
    assert done.exit_code == 2
    assert "pip install 'saliencykit[tensorboard]'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_nobody_imports_it_unasked():
    code = (
        "import sys, saliencykit.models, saliencykit.holdings, saliencykit.holdings.curves; "
        "print([m for m in sys.modules if m.partition('.')[0] == 'tensorboard'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.strip()) == []


def test_no_key_of_a_training_hangs_on_it():
    reached = sources._reached([(sources.PACKAGE / "models" / "training.py", "train")])
    rooms = {file.relative_to(sources.PACKAGE).parts[0] for file in reached}
    assert "models" in rooms
    assert not rooms & {"cache", "holdings", "cli"}
