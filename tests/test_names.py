"""Names that README, docs, notebooks … tell as code exist: commands, options, settings …

What examples do is tested in test_docs.py; here, that nothing told was renamed or spelled wrongly.
"""

import importlib
import re
import shlex
from functools import reduce
from itertools import pairwise

import pytest
import typer

from saliencykit import cli
from saliencykit.paths import NOTEBOOKS, PACKAGE, REFERENCE, ROOT
from saliencykit.running.profiles import declared, read_cells
from saliencykit.settings import DEFAULTS, profile_names

OTHERS = {
    *("AUC_Borji", "AUC_shuffled", "MIT_KLDiv", "image_based_kl_divergence", "information_gain"),
    *("CURRENT_FIX_INDEX", "CURRENT_FIX_X", "RECORDING_SESSION_LABEL", "TRIAL_INDEX"),
    *("relu", "conv4_1", "dissect_memory", "folder_looked"),
}
"""Not the package's names: of pysaliency, the MIT's code, trackers, torch, layers and files."""
PLACEHOLDERS = {"mine", "P"}  # profiles that a reader makes
RULES = ROOT / "tests" / "test_house.py"  # of which CONTRIBUTING names each


def texts():
    """Every text by where it is: README, docs, how to join in, and notebooks' markdown."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = {page.name: page.read_text(encoding="utf-8") for page in pages}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = (c for c in read_cells(path) if c["cell_type"] == "markdown")
        found[path.name] = "\n\n".join("".join(cell["source"]) for cell in cells)
    return found


TEXTS = texts()
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.S | re.M)


def spans(text):
    """What stands between backticks, blocks aside."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def code(text, language):
    """Spans, and lines of the blocks in a language, without comments."""
    blocks = [block for kind, block in FENCE.findall(text) if kind == language]
    return [*spans(text), *(re.sub(r"(^|\s)#.*", "", ln) for b in blocks for ln in b.splitlines())]


def commands_of(group, words):
    """The command that words begin with, and what follows it."""
    while words and words[0] in getattr(group, "commands", {}):
        group, words = group.commands[words[0]], words[1:]
    return group, words


APP = typer.main.get_command(cli.app)
ASKED = {name for path in NOTEBOOKS.glob("*.ipynb") for name in declared(path)}


def options(command):
    """The options of a command and of those below it."""
    own = {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name[0] == "-"}
    below = getattr(command, "commands", {}).values()
    return own.union({"--help", "-h"}, *map(options, below))


def wrong(line):
    """What in a line of code that calls `saliencykit` does not exist."""
    for call in re.findall(r"(?:^|\s|/)saliencykit ((?!=)[^|;&]+)", line):
        words = shlex.split(call.replace("'", "").replace('"', ""))
        command, rest = commands_of(APP, words)
        if command is APP and not words[0].startswith(("-", "…")):
            yield f"no command {words[0]}"
        for word, after in pairwise([*rest, ""]):
            if word.startswith("-") and word.partition("=")[0] not in options(command):
                yield f"{command.name} has no {word}"
            if word == "--profile" and after not in {*profile_names(), *PLACEHOLDERS, "…"}:
                yield f"no profile {after}"
            if word == "-p" and after not in {*DEFAULTS, *ASKED}:
                yield f"no setting {after}"


@pytest.mark.parametrize("page", TEXTS)
def test_commands_options_settings_and_profiles_exist(page):
    assert [w for line in code(TEXTS[page], "bash") for w in wrong(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "saliencykit figure 02",
        "saliencykit figures --profiles toy",
        "saliencykit figures --profile toyy",
        "X=1 saliencykit figures -p epoch 2",
        ".venv/bin/saliencykit cache prune --dry",
    ],
)
def test_wrong_ones_are_found(line):
    assert len(list(wrong(line))) == 1


@pytest.mark.parametrize("page", TEXTS)
def test_options_told_alone_exist(page):
    told = (span.split()[0].partition("=")[0] for span in spans(TEXTS[page]) if span[:2] == "--")
    assert set(told) <= options(APP)


@pytest.mark.parametrize("page", TEXTS)
def test_targets_of_make_exist(page):
    targets = re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", (ROOT / "Makefile").read_text(), re.M)
    lines = code(TEXTS[page], "bash")
    assert {t for line in lines for t in re.findall(r"^make ([a-z-]+)", line)} <= {*targets}
    profiles = {p for line in lines for p in re.findall(r"\bPROFILE=(\w+)", line)}
    assert profiles <= {*profile_names(), *PLACEHOLDERS}


@pytest.mark.parametrize("page", TEXTS)
def test_members_exist(page):
    for line in code(TEXTS[page], "python"):
        for name in re.findall(r"(?<!/)\b(?:sk|saliencykit)\.((?:\w+\.)*\w+)", line):
            member(name)


def member(name):
    """The thing called saliencykit.`name`, modules imported as need be."""

    def step(thing, part):
        if not hasattr(thing, part):
            importlib.import_module(f"{thing.__name__}.{part}")
        return getattr(thing, part)

    return reduce(step, name.split("."), importlib.import_module("saliencykit"))


WORDS = {
    word
    for path in (*PACKAGE.rglob("*.py"), *NOTEBOOKS.rglob("*.*"), ROOT / "Makefile", RULES)
    for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))
} | {path.stem for folder in (REFERENCE, NOTEBOOKS, ROOT / "tests") for path in folder.rglob("*.*")}


@pytest.mark.parametrize("page", TEXTS)
def test_what_looks_like_a_name_is_one(page):
    """A word with an underscore, or before a parenthesis, is in the code."""
    told = re.findall(r"\w*[^\W_]_\w+|\w+(?=\()", " ".join(spans(TEXTS[page])))
    assert {word for word in told if not word.isdigit()} <= WORDS | OTHERS
