"""Numbers told are those of committed findings, and what the README points at is there."""

import json
import re
import subprocess

import pytest

from saliencykit.paths import NOTEBOOKS, REFERENCE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
FINDINGS = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
PROFILES = {
    "OSIE, `vgg16`": "osie",
    "OSIE, `mobilenet_v2`": "osie_mobilenet",
    "Crowd, `vgg16`": "crowd",
    "toyworld": "toy",
}
PLANTED = {  # where those of notebook 11 are others
    "OSIE, `vgg16`": "planted_vgg16",
    "OSIE, `squeezenet1_1`": "planted",
    "Crowd, `squeezenet1_1`": "planted_crowd",
}
LED_BY = "osie"  # the profile whose findings the README tells
NUMBER = r"[-+−]?\d+(?:\.\d+)?"
CLAIM = rf"{NUMBER} \[[^\]]+\](?: %)?|{NUMBER} → {NUMBER}|\d+ of (?:the )?\d+|{NUMBER} %|{NUMBER}"


def rows():
    """(notebook, profile, what is said) of each answer in docs/findings.md and README's lines."""
    for section in FINDINGS.split("\n## ")[1:]:
        number = re.match(r".*\(`(\d\d)`\)\n", section)[1]
        for who, text in re.findall(r"^- \*\*(.*?)\*\*: (.*?)(?=^- |\n\n)", section, re.M | re.S):
            profiles = PROFILES | PLANTED if number == "11" else PROFILES
            yield said(number, profiles[who], " ".join(text.split()))
    line = r"^- \*\*.*?\(`(\d\d)`\)\*\* (.*?)(?=^- |\n\n)"
    for number, text in re.findall(line, README, re.M | re.S):
        yield said(number, LED_BY, " ".join(text.split()), "README-")


def said(number, profile, text, where=""):
    (notebook,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return pytest.param(notebook.stem, profile, text, id=f"{where}{number}-{profile}")


def test_every_finding_is_told():
    told = {row.values[0][:2] for row in rows()}
    assert told >= {"01", "02", "03", "04", "05", "06", "07", "08"}
    assert sum("README" in row.id for row in rows()) >= 3


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


def test_cautions_are_those_of_the_findings():
    told = {
        ("toy", "08_known_truth"): (r"person head \((10 % \[1, 20\])\)", (README, FINDINGS)),
        ("osie", "02_pretrained_units"): (r"untrained network's: (conv1_2.*?)\.\n", (FINDINGS,)),
    }
    for (profile, notebook), (pattern, pages) in told.items():
        record = json.loads((REFERENCE / profile / f"{notebook}.json").read_text("utf-8"))
        number = re.search(pattern, record["finding"])[1]
        assert all(number in " ".join(page.split()) for page in pages)


def test_what_it_points_at_is_there():
    pointed = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert len(pointed) >= 8
    assert all((ROOT / path).is_file() for path in pointed)


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
