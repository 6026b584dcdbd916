"""The README's numbers are those of the committed findings, and what it points at is there."""

import json
import re
import subprocess

import pytest

from saliencykit.paths import NOTEBOOKS, REFERENCE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROFILES = ("osie", "osie_mobilenet", "toy")  # the columns of its table
NUMBER = r"[-+−]?\d+(?:\.\d+)?"
CLAIM = rf"{NUMBER} \[[^\]]+\](?: %)?|{NUMBER} → {NUMBER}|\d+ of (?:the )?\d+|{NUMBER} %|{NUMBER}"


def rows():
    """(notebook, profile, what the README says) of each cell of its table of findings."""
    for line in README.splitlines():
        if found := re.match(r"\| .*\(`(\d\d)`\) \| (.*) \|$", line):
            number, cells = found[1], found[2].split(" | ")
            (notebook,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
            for profile, cell in zip(PROFILES, cells, strict=True):
                if cell != "–":
                    yield pytest.param(notebook.stem, profile, cell, id=f"{number}-{profile}")


def test_every_finding_is_told():
    told = {row.values[0][:2] for row in rows()}
    assert told >= {"01", "02", "03", "04", "05", "06", "07", "08"}


@pytest.mark.parametrize(("notebook", "profile", "cell"), list(rows()))
def test_numbers_are_those_of_the_findings(notebook, profile, cell):
    record = json.loads((REFERENCE / profile / f"{notebook}.json").read_text("utf-8"))
    finding = " ".join(record["finding"].split())
    claims = re.findall(CLAIM, re.sub(r"`[^`]+`", "", cell))  # but for names, such as a layer's
    assert claims
    whole = r"(?<![\d.]){}(?!\.?\d)"  # not a part of a longer number
    missing = [c for c in claims if not re.search(whole.format(re.escape(c)), finding)]
    assert not missing
    assert all(name in finding for name in re.findall(r"`([^`]+)`", cell))


def test_what_it_points_at_is_there():
    pointed = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert len(pointed) >= 8
    assert all((ROOT / path).is_file() for path in pointed)
    pages = re.findall(r"`(figures/reference/\w+/index\.html)`", README)
    assert len(pages) == len(PROFILES)
    assert all((ROOT / page).is_file() for page in pages)


def test_git_ignores_what_a_run_draws_and_photographs_but_not_the_reference():
    drawn = ["figures/toy/00_a.csv", "figures/toy/index.html", "figures/mine/00_a.png"]
    drawn += [f"figures/reference/osie/00_a_photos.{end}" for end in ("png", "svg", "pdf")]
    drawn += ["artefacts/gallery.png"]
    kept = ["figures/reference/toy/00_a.png", "figures/reference/osie/00_a_photos.csv"]
    command = ["git", "check-ignore", "--no-index", *drawn, *kept]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("this is no clone")
    assert done.stdout.splitlines() == drawn
