"""What an entry tells of how it was made: in words, beside an unchanged key and result."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open

from saliencykit import __version__, cache, sources
from saliencykit.cache import origins
from saliencykit.models import CentrePrior, SaliencyModel, build_encoder
from saliencykit.models.centre import CentrePrior as Defined

KEY = {"data": "f00d", "layers": ["a", "b"], "settings": {"seed": 3, "size": (240, 320)}}


class Named:
    """A thing that has a fingerprint, which nothing here may ask for."""

    def __init__(self, name):
        self.name = name

    @property
    def fingerprint(self):
        raise AssertionError("asked for")

    def __repr__(self):
        return f"<{self.name}: 7 images>"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))


def told(key, compute, **how):
    """What the file of an entry tells, which is computed now."""
    cache.cached("demo", key, compute, **how)
    with safe_open(cache.entry_path("demo", key), framework="pt") as file:
        return json.loads(file.metadata()["made"])


def words(about, key=KEY):
    return json.loads(origins.made(key, about, 1.0))["key"]


def test_an_entry_tells_code_settings_processor_time_and_date():
    found = told(KEY, lambda: cache.Entry(meta={"x": 1}))
    assert found["key"] == {**KEY, "settings": {"seed": 3, "size": [240, 320]}}
    assert found["version"].startswith(__version__)
    assert found["processor"] == origins.processor()
    assert 0 <= found["seconds"] < 5
    assert datetime.now(UTC) - datetime.fromisoformat(found["when"]) < timedelta(minutes=1)


def test_what_the_function_took_along_gives_parts_of_the_key_their_names():
    data, other = Named("photos"), Named("other")
    found = told(KEY, lambda: cache.Entry(meta={"x": repr((data, other))}))
    assert found["key"]["data"] == "<photos: 7 images>"
    assert "other" not in found["key"]
    assert found["key"]["layers"] == ["a", "b"]


def test_a_method_and_what_is_no_function_take_nothing_along():
    assert told(KEY, SimpleNamespace(go=lambda: cache.Entry()).go)["key"]["data"] == "f00d"
    assert origins.closed_over(print) == {}


def test_a_decorated_function_s_variables_are_its_own():
    data = Named("photos")

    @torch.inference_mode()
    def compute():
        return cache.Entry(meta={"x": repr(data)})

    assert told(KEY, compute)["key"]["data"] == "<photos: 7 images>"


def test_remembered_functions_tell_their_arguments():
    def double(data, times, progress=True):
        return times * 2

    data = SimpleNamespace(fingerprint="f00d", name="photos")
    kept = cache.remembered(
        "demo", double, lambda n: cache.Entry(meta={"n": n}), lambda e: e.meta["n"]
    )
    assert kept(data, 4) == 8
    (path,) = cache.cache_root().glob("demo/*.safetensors")
    with safe_open(path, framework="pt") as file:
        found = json.loads(file.metadata()["made"])["key"]
    assert found == {"data": repr(data), "times": 4}


@pytest.mark.parametrize(
    ("about", "value", "expected"),
    [
        ([Named("a"), Named("b")], ["1", "2"], ["<a: 7 images>", "<b: 7 images>"]),
        ({"x": Named("a")}, {"x": "1"}, {"x": "<a: 7 images>"}),
        ([Named("a")], ["1", "2"], ["1", "2"]),  # another list, called alike
        ({"y": Named("a")}, {"x": "1"}, {"x": "1"}),
        (object(), "1", "1"),
        (None, None, None),
    ],
)
def test_lists_and_mappings_of_things_are_named_where_they_fit(about, value, expected):
    assert words({"x": about}, {"x": value}) == {"x": expected}


def test_a_network_is_told_in_one_line():
    model = SaliencyModel(build_encoder("toyvgg", None))
    assert words({"model": model}, {"model": "1"})["model"] == f"SaliencyModel on {model.encoder!r}"


def test_a_thing_that_cannot_say_what_it_is_is_told_by_its_class():
    class Mute(Named):
        def __repr__(self):
            raise ZeroDivisionError

    assert words({"data": Mute("x")})["data"] == "Mute"


def test_long_parts_are_cut_and_the_code_is_told_apart():
    found = words({}, {"x": ["0123456789"] * 100, "code": "c0de"})
    assert list(found) == ["x"]
    assert len(found["x"]) == origins.LONG + 1


def test_code_is_told_so_that_it_can_be_asked_for_again():
    codes = {"code": sources.code_of(CentrePrior), "deep": [{"er": sources.code_of(cache.Entry)}]}
    found = told({**codes, "x": "0123456789abcdef"}, lambda: cache.Entry())["codes"]
    place = f"{Defined.__module__}:CentrePrior"
    assert found[place] == codes["code"]
    assert all(sources.code_named(names) == code for names, code in found.items())


@pytest.mark.parametrize(
    "names", ["", "os:path", "saliencykit", "saliencykit./etc/passwd:x", "a b"]
)
def test_names_that_are_none_of_ours_are_refused(names):
    with pytest.raises(ValueError, match="names no function or class of saliencykit"):
        sources.code_named(names)


@pytest.mark.parametrize("names", ["saliencykit.gone:x", "saliencykit.models.centre:Gone"])
def test_code_that_is_gone_has_another_hash(names):
    assert sources.code_named(names) != sources.code_of(CentrePrior)


def test_the_commit_is_told_in_a_clone_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setattr(origins, "ROOT", tmp_path)
    origins.version.cache_clear()
    assert origins.version() == __version__
    (tmp_path / ".git").write_text("no clone")
    origins.version.cache_clear()
    assert origins.version() == __version__
    monkeypatch.undo()
    origins.version.cache_clear()


def test_what_it_tells_changes_no_key_and_no_result():
    first = told(KEY, lambda: cache.Entry({"x": torch.ones(2)}, {"n": 1}), about={})
    path = cache.entry_path("demo", KEY)
    before = cache.read(path)
    path.unlink()
    second = told(
        KEY, lambda: cache.Entry({"x": torch.ones(2)}, {"n": 1}), about={"data": Named("a")}
    )
    assert first["key"] != second["key"]
    again = cache.read(path)
    assert again.tensors["x"].equal(before.tensors["x"])
    assert again.meta == before.meta == {"n": 1}
