"""Which code a cache key holds: what a function reaches, without comments and docstrings."""

import importlib
import sys

import pytest
import torch

from saliencykit import cache, sources
from saliencykit.analyses.causal_units.tables import losses
from saliencykit.dissection import dissect
from saliencykit.evaluation.scoring import _scored
from saliencykit.models import classical, train
from saliencykit.models.encoders import Encoder
from saliencykit.sources import code_of

FILES = {
    "__init__.py": "",
    "rooms/__init__.py": """
        from . import entered
        from .far import FAR, far
        __all__ = ["FAR", "far"]
    """,
    "rooms/far.py": """
        \"\"\"Far away.\"\"\"
        from .table import TABLE
        FAR = 3  # a constant

        def far(x: int) -> int:
            \"\"\"Go far.\"\"\"
            return x + FAR + TABLE["entered"](x)

        def unrelated():
            return 1
    """,
    "rooms/table.py": """
        from . import entered
        TABLE = {}
    """,
    "rooms/entered.py": """
        def enter(function):
            from .table import TABLE
            TABLE[function.__name__] = function
            return function

        @enter
        def entered(x):
            return 2 * x
    """,
    "near.py": """
        from functools import lru_cache
        from .rooms import far
        LEVEL = 0.95
        WORDS = ("beside", "LATE")  # no names, but words
        LATE = 1

        class Base:
            def method(self):
                return LEVEL

        @lru_cache
        def near(x: "Base") -> int:
            def inner():
                from .late import late
                return late
            return far(x) + inner()() + len(WORDS)

        @lru_cache
        def beside():
            return 0
    """,
    "late.py": "late = lambda: 1",
    "viewing/__init__.py": "",
    "cache/__init__.py": "",
    "cache/entries.py": "def cached(): return 1",
    "keeping.py": """
        from .cache.entries import cached
        def kept(): return cached()
    """,
}


def forget():
    for found in (sources._hashed, sources._places, sources._read):
        found.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own; returns what changes a text in a file of it, and hashes a function."""
    root = tmp_path / "reached_package"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.replace("\n        ", "\n"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "PACKAGE", root)

    def hashed(module="near", name="near", **changes):
        for file, (old, new) in changes.items():
            path = root / f"{file.replace('__', '/')}.py"
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
        forget()
        found = importlib.import_module(f"reached_package.{module}")
        return code_of(getattr(found, name))

    yield hashed
    forget()
    for name in [name for name in sys.modules if name.startswith("reached_package")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "change",
    [
        {"rooms__far": ("# a constant", "# still a constant")},
        {"rooms__far": ('"""Go far."""', '"""Go further."""\n    """And say so."""')},
        {"rooms__far": ('"""Far away."""', '"""Near."""')},
        {"rooms__far": ("FAR = 3", "\n\nFAR = (\n    3\n)")},
        {"rooms__far": ("return 1", "return 2")},  # unrelated
        {"near": ("return 0", "return 1")},  # beside it
        {"near": ("LATE = 1", "LATE = 2")},
        {"keeping": ("kept()", "held()")},
    ],
    ids=str,
)
def test_what_changes_no_result_leaves_the_hash(package, change):
    assert package() == package(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"rooms__far": ("FAR = 3", "FAR = 4")},
        {"rooms__far": ("return x + FAR", "return x - FAR")},
        {"rooms__entered": ("2 * x", "3 * x")},  # enters itself into a table that far looks up
        {"rooms__entered": ("= function\n", "= print\n")},
        {"near": ("far(x) +", "far(x) -")},
        {"near": ("LEVEL = 0.95", "LEVEL = 0.9")},  # used by what an annotation in quotes names
        {"late": ("1", "2")},  # imported inside a function inside
        {"near": ("import lru_cache", "import cache as lru_cache")},
    ],
    ids=str,
)
def test_what_may_change_a_result_changes_the_hash(package, change):
    assert package() != package(**change)


def test_where_results_lie_is_not_what_they_are(package):
    before = package("keeping", "kept")
    assert before == package("keeping", "kept", cache__entries=("return 1", "return 2"))
    assert before != package("keeping", "kept", keeping=("cached()", "cached() + 1"))


def files(*things):
    sources._hashed.cache_clear()
    named = [(t.__module__.split(".")[1:], t.__qualname__.split(".")[0]) for t in things]
    places = {place for module, name in named for place in sources._places((tuple(module), name))}
    return {f.relative_to(sources.PACKAGE).as_posix() for f in sources._reached(places)}


def test_results_of_the_kit_depend_on_what_makes_them_and_on_nothing_above():
    assert {"models/encoders.py", "metrics/upsampling.py", "models/stimuli.py"} <= files(train)
    assert {"dissection/region_nss.py", "metrics/upsampling.py"} <= files(dissect)
    assert not {"models/toyvgg.py", "models/classical/aim.py", "datasets/osie.py"} & files(train)
    assert not {f for f in files(dissect) if f.startswith(("viewing", "analyses", "study", "cli"))}
    assert "models/classical/gbvs.py" not in files(_scored)
    assert "intervals.py" in files(losses)
    assert {"datasets/toyworld/goods.py", "datasets/toyworld/pen.py"} <= files(
        importlib.import_module("saliencykit.datasets.toyworld").ToyWorld
    )


def test_somebody_else_s_class_counts_with_what_it_inherits():
    class Mine(Encoder):
        pass

    assert code_of(Mine) == code_of(Encoder) != code_of(torch.nn.Module)
    assert code_of(train) != code_of(train, classical.CLASSICAL["aim"])


class Weighed:
    def __init__(self, weight):
        self.fingerprint = f"weight {weight}"


def test_results_are_remembered_by_code_and_arguments():
    calls = []

    def total(net, values, *, times=1, progress=True):
        """Return the sum."""
        calls.append(net)
        return {"total": times * torch.tensor(values).sum()}

    again = cache.remembered("totals", total, cache.Entry, lambda entry: entry.tensors)
    net = Weighed(1)
    assert again(net, [1, 2])["total"] == 3
    assert again(Weighed(1), values=[1, 2], times=1, progress=False)["total"] == 3
    assert len(calls) == 1
    assert again(net, [1, 2], times=2)["total"] == 6
    again(Weighed(2), [1, 2])
    again(net, [2, 1])
    assert len(calls) == 4
    assert again.__doc__ == "`total`, read from the cache if the same was computed before."
    with pytest.raises(TypeError, match="times_"):
        again(net, [1], times_=2)
