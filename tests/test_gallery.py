"""The page of all figures, and the records that it is made of."""

import json
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli
from saliencykit.paths import (
    FIGURE_MIME,
    FOR_PAPER,
    PAPER,
    REFERENCE,
    SETTINGS_MIME,
    STYLE,
    STYLE_SHEET,
)
from saliencykit.running import gallery, overview, records, runner
from saliencykit.settings import profile_names, read_profile
from tests.small_notebooks import SAVE, write_notebook, write_profile

TITLE = """# 02 · Do units know?

**Question.** Do units know *text*? **The paper** says so.

**Steps.** Ask → see.
"""
PARAMETERS = """profile = "toy"
changes = {}  # settings that differ from the profile's
doses = [1, 2]  # numbers of units
start = None
k = 0"""
SETTINGS = {
    "profile": "toy",
    "values": {"data": "toyworld", "epochs": 2, "weights": None, "seed": 0},
    "origins": {"data": "profile", "epochs": "change"},
    "meanings": {"epochs": "of fine-tuning"},
}


class Page(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, path):
        super().__init__()
        self.folder, self.tags, self.words = path.parent, [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.visible = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] != "style":
            self.words.append(data)

    def all(self, tag, attribute):
        return [a[attribute] for t, a in self.tags if t == tag and attribute in a]

    @property
    def missing(self):
        """Addresses that lead nowhere from this page, opened from disk."""
        ids = [a["id"] for _, a in self.tags if "id" in a]
        targets = {f"#{i}" for i in ids}
        urls = self.all("a", "href") + self.all("img", "src")
        return [u for u in urls if not self.leads_somewhere(u, targets)]

    def leads_somewhere(self, url, targets):
        if url.startswith("#"):
            return unquote(url) in targets
        parts = urlsplit(url)
        return not parts.scheme and not parts.netloc and (self.folder / unquote(url)).is_file()


def markdown_output(text):
    data = {"text/markdown": text, "text/plain": "<Markdown object>"}
    return new_output("display_data", data=data)


def draw(folder, stem, rows=2, picture=True):
    folder.mkdir(parents=True, exist_ok=True)
    body = "".join(f"cat{i},{i}.5\n" for i in range(rows))
    (folder / f"{stem}.csv").write_text("category,nss\n" + body)
    if picture:
        Image.new("RGB", (90, 60), "white").save(folder / f"{stem}.png")


def saved(stem, learned=True):
    """A cell that saved a figure; its source does not name it."""
    data = {FIGURE_MIME: {"stem": stem, "size": [90, 60], "learned": learned}, "text/plain": ""}
    return new_code_cell("save(*drawn)", outputs=[new_output("display_data", data=data)])


def executed(
    place,
    stem="02_units",
    finding="- Units know **text**: 82 % of them.",
    injected="",
    stems=("by_layer", "again", "best"),
    settings=SETTINGS,
):
    """An executed copy, written as papermill and a kernel would have."""
    first, second, third = (f"{stem[:3]}{name}" for name in stems)
    printed = [
        new_output("stream", name="stderr", text="a warning\n"),
        new_output("stream", name="stdout", text="saliencykit 0.1.0, torch 2.9\n"),
    ]
    shown = {SETTINGS_MIME: settings, "text/html": "<b>Study</b>", "text/plain": "Study"}
    return write_notebook(
        place / "executed",
        stem,
        new_code_cell("print(sk.versions())", outputs=printed),
        new_code_cell(injected, metadata={"tags": ["injected-parameters"]}),
        new_code_cell("study", outputs=[new_output("display_data", data=shown)]),
        new_markdown_cell("## By layer\nFrom *shallow* to deep."),
        saved(first),
        '"02_never_drawn"',
        saved(second, learned=[True, False]),
        new_markdown_cell("## The best"),
        saved(third, learned=False),
        new_markdown_cell("## What we see\nWith care."),
        new_code_cell("Markdown(words)", outputs=[markdown_output(finding)]),
        new_markdown_cell("One more thing."),
        new_markdown_cell("## Question it\nMove the slider."),
        new_code_cell("widget()", outputs=[markdown_output("not a finding")]),
        parameters=PARAMETERS,
        title=TITLE,
    )


@pytest.fixture
def folder(tmp_path):
    """Figures of two notebooks with their records, one of photographs that are not here."""
    place = tmp_path / "figures" / "osie"
    for number in ("02", "03"):
        stems = ("by_layer", "again", "best" if number == "02" else "best_photos")
        for stem, rows in zip(stems, (12, 2, 1), strict=True):
            draw(place, f"{number}_{stem}", rows)
        records.write(executed(tmp_path, f"{number}_units", stems=stems), place)
    (place / "03_best_photos.png").unlink()
    return place


# Records


def test_a_record_holds_what_the_notebook_says(folder):
    record = json.loads((folder / "02_units.json").read_text(encoding="utf-8"))
    assert record == {
        "notebook": "02_units",
        "title": "02 · Do units know?",
        "question": "**Question.** Do units know *text*? **The paper** says so.",
        "sections": [
            {
                "heading": "By layer",
                "text": "From *shallow* to deep.",
                "figures": [
                    {"stem": "02_by_layer", "size": [90, 60], "learned": True},
                    {"stem": "02_again", "size": [90, 60], "learned": [True, False]},
                ],
            },
            {
                "heading": "The best",
                "text": "",
                "figures": [{"stem": "02_best", "size": [90, 60], "learned": False}],
            },
        ],
        "finding": "With care.\n\n- Units know **text**: 82 % of them.\n\nOne more thing.",
        "settings": SETTINGS,
        "parameters": {"doses": [1, 2], "start": None, "k": 0},
        "meanings": {"doses": "numbers of units"},
        "versions": "saliencykit 0.1.0, torch 2.9",
    }


def test_injected_parameters_count_and_nothing_names_a_folder_of_the_machine(tmp_path):
    injected = (
        'profile = "osie"\nchanges = {"epochs": 2}\nstart = "/home/me/vgg.pt"\n'
        'doses = ["C:\\\\me\\\\a.pt", "~/b", "conv/c"]\nk = 3'
    )
    settings = SETTINGS | {"values": {"weights": "/home/me/own.pt"}}
    record = records.write(executed(tmp_path, injected=injected, settings=settings), tmp_path)
    assert record["parameters"] == {"doses": ["a.pt", "~/b", "conv/c"], "start": "vgg.pt", "k": 3}
    assert record["settings"]["values"] == {"weights": "own.pt"}
    text = (tmp_path / "02_units.json").read_text()
    assert not [private for private in ("/home", "me\\", str(tmp_path)) if private in text]


def test_figures_are_those_that_the_outputs_tell_of(tmp_path):
    copy = executed(tmp_path, stems=("z", "a", "z"))  # saved a second time, in the last section
    record = records.read_executed(copy)
    found = [(s["heading"], [f["stem"] for f in s["figures"]]) for s in record["sections"]]
    assert found == [("By layer", ["02_a"]), ("The best", ["02_z"])]
    assert records.figures(record) == {"02_a": [True, False], "02_z": False}


def test_figures_of_an_old_record_count_as_learned():
    old = {"sections": [{"figures": [{"stem": "02_a", "size": [1, 1]}]}]}
    assert records.figures(old) == {"02_a": True}


def test_equal_results_give_equal_bytes_and_no_temporary_file(tmp_path, folder):
    paths = [folder / "02_units.json", folder / gallery.PAGE]
    seen = []
    for _ in range(2):
        records.write(executed(tmp_path), folder)
        gallery.write(folder)
        seen.append([p.read_bytes() for p in paths])
    assert seen[0] == seen[1]
    assert {p.suffix for p in folder.iterdir()} == {".png", ".csv", ".json", ".html"}


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "index.html"
    records.replace(path, "before")
    with pytest.raises(UnicodeEncodeError):
        records.replace(path, "\ud800")
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


# The page


def test_the_page_has_each_figure_table_finding_and_parameter(folder):
    page = Page(gallery.write(folder, "Photographs"))
    pictures = ["02_by_layer.png", "02_again.png", "02_best.png", "03_by_layer.png", "03_again.png"]
    assert page.all("img", "src") == pictures
    links = page.all("a", "href")
    assert set(pictures) <= set(links)
    assert [u for u in links if u.endswith(".csv")] == [
        f"{n}_{name}.csv"
        for n in ("02", "03")
        for name in ("by_layer", "again", "best" if n == "02" else "best_photos")
    ]
    assert page.missing == []
    for words in (
        "Photographs.",
        "make figures PROFILE=osie",
        "6 figures from 2 notebooks",
        "Do units know text ?",
        "From shallow to deep.",
        "With care. Units know text : 82 % of them. One more thing.",
        "Made with 4 settings and 3 parameters; some are not the profile's",
        "epochs 2 change of fine-tuning",
        "data 'toyworld' profile",
        "seed 0 default",
        "doses [1, 2] numbers of units",
        "Its first 8 of 12 rows",
        "cat7 7.5",
        "Its 1 row",
        "saliencykit 0.1.0, torch 2.9",
    ):
        assert words in page.visible
    assert "82\N{NO-BREAK SPACE}%" in page.text
    for words in ("cat8", "Steps", "not a finding", "Move the slider"):
        assert words not in page.visible


def test_pictures_have_words_a_size_and_wait_to_be_seen(folder):
    page = Page(gallery.write(folder))
    assert all(page.all("img", "alt"))
    count = len(page.all("img", "src"))
    assert page.all("img", "width") == ["90"] * count
    assert page.all("img", "loading") == ["lazy"] * count
    ids = Counter(a["id"] for _, a in page.tags if "id" in a)
    assert set(ids.values()) == {1}


def test_the_page_asks_nothing_of_the_network_or_of_scripts(folder):
    record = json.loads((folder / "02_units.json").read_text())
    record["finding"] = "![a chart](https://example.org/a.png) [this](javascript:alert(1))"
    (folder / "02_units.json").write_text(json.dumps(record))
    page = Page(gallery.write(folder))
    assert not {"script", "link", "iframe", "base"} & {tag for tag, _ in page.tags}
    assert "://" not in page.text
    assert "url(" not in page.text
    assert "javascript" not in page.text
    assert "a chart" in page.visible


def test_photographs_that_are_not_here_are_said_to_be_drawn_locally(folder):
    text = gallery.write(folder).read_text()
    _, _, rest = text.partition('<object data="03_best_photos.png"')
    inside, _, _ = rest.partition("</object>")
    assert "not ours to publish" in inside  # shown where the picture cannot be
    assert "make figures PROFILE=osie" in inside
    draw(folder, "03_best_photos", rows=1)
    assert gallery.write(folder).read_text() == text  # the same page for those who have them


def test_a_missing_picture_or_table_is_not_linked(folder):
    (folder / "02_again.png").unlink()
    (folder / "02_best.csv").unlink()
    page = Page(gallery.write(folder))
    assert page.missing == []
    assert "This picture is not here. make figures PROFILE=osie draws it." in page.visible


def test_texts_cannot_break_the_page(tmp_path):
    place = tmp_path / "figures" / "<i>"
    finding = "- <script>alert(1)</script> a<b"
    injected = "start = '<b>bold</b>\"'\nk = '&amp;'"
    settings = SETTINGS | {
        "values": {"data": "<ins>data</ins>"},
        "meanings": {"data": "<tt>so</tt>"},
    }
    copy = executed(tmp_path, "02_un<its", finding, injected, settings=settings)
    draw(place, "02_by_layer", picture=False)
    (place / "02_by_layer.csv").write_text('"<u>x","y&z"\n"<s>1",2\n')
    records.write(copy, place)
    page = Page(gallery.write(place, "<q>all</q>"))
    assert not {"script", "b", "i", "u", "s", "q", "ins", "tt"} & {tag for tag, _ in page.tags}
    for words in ("<script>alert(1)</script> a<b", "<b>bold</b>", "&amp;", "<u>x", "<q>all</q>"):
        assert words in page.visible
    assert "<ins>data</ins>" in page.visible
    assert page.missing == []


def test_old_records_without_settings_are_shown(folder):
    record = json.loads((folder / "02_units.json").read_text())
    del record["settings"]
    (folder / "02_units.json").write_text(json.dumps(record))
    page = Page(gallery.write(folder))
    assert "Made with 3 parameters" in page.visible
    assert "02_by_layer.png" in page.all("img", "src")


def test_what_is_no_record_is_left_out_with_a_warning(folder):
    (folder / "02_units.json").write_text("{}")
    (folder / "09_x.json").write_text("{")
    (folder / "09_y.json").write_text('{"a": ' + "[" * 100_000)
    with pytest.warns(UserWarning, match="is left out") as caught:
        page = Page(gallery.write(folder))
    assert len([w for w in caught if "is no record of a notebook" in str(w.message)]) == 3
    assert page.all("img", "src") == ["03_by_layer.png", "03_again.png"]


def test_a_page_without_notebooks_says_so(tmp_path):
    assert "No notebook has run" in Page(gallery.write(tmp_path)).visible


# Running


@pytest.fixture
def where(tmp_path, monkeypatch):
    """A notebooks folder with a profile, folders for figures, a cache of its own."""
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    write_profile(tmp_path / "notebooks", "toy", "# A small world\nvalue: 2.5\n")
    return {
        "folder": tmp_path / "notebooks",
        "figures": tmp_path / "figures",
        "reference": tmp_path / "figures" / "reference",
    }


@pytest.mark.slow
def test_a_notebook_that_ran_is_on_the_page(where):
    see = new_markdown_cell("## What we see"), 'Markdown(f"{profile} has **{value}**")'
    draws = SAVE.format(name="00_a_x"), "from IPython.display import Markdown"
    write_notebook(where["folder"], "00_a", *draws, *see)
    runner.run(**where)
    page = Page(where["figures"] / "toy" / gallery.PAGE)
    assert page.all("img", "src") == ["00_a_x.png"]
    assert page.missing == []
    for words in ("toy has 2.5", "value 2.5", "A small world.", "Its 1 row"):
        assert words in page.visible


def at_once(tasks, jobs, environment):
    """What side_by_side does, without kernels: each notebook draws figures and says its value."""
    for index, task in enumerate(tasks):
        yield index, {"kind": "start"}
        folder, value = Path(environment["SALIENCYKIT_FIGURES"]) / "toy", task.parameters["value"]
        stem = task.notebook.stem
        if value == "fail":
            failed = {
                "cell": 1,
                "run": 1,
                "source": "",
                "error": "",
                "traceback": "",
                "kept": False,
            }
            yield index, {"kind": "failed", **failed}
        for name in ("x", "y", "z_photos"):
            draw(folder, f"{stem[:3]}{name}", rows=int(value))
        executed(
            task.output.parent,
            stem,
            f"It is **{value}**.",
            f"value = {value}",
            ("x", "y", "z_photos"),
        )
        (task.output.parent / "executed" / task.output.name).replace(task.output)
        yield index, {"kind": "done", "memory": 0}


@pytest.fixture
def quick(where, monkeypatch):
    monkeypatch.setattr(runner, "side_by_side", at_once)
    for stem in ("00_a", "01_b"):
        write_notebook(where["folder"], stem)
    return where


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_each_run_renews_its_own_part_of_the_page(quick):
    folder = quick["figures"] / "toy"
    (first, _), _ = runner.run(**quick)
    assert first.written == first.changed
    before = contents(folder)
    page = Page(folder / gallery.PAGE)
    assert page.all("img", "src") == ["00_x.png", "00_y.png", "01_x.png", "01_y.png"]
    assert page.visible.count("It is 2.5") == 2

    (folder / gallery.PAGE).unlink()
    (outcome,), _ = runner.run(["01"], overrides={"value": "7"}, **quick)
    assert outcome.changed == ["01_x.csv", "01_y.csv", "01_z_photos.csv"]
    page = Page(folder / gallery.PAGE)
    assert len(page.all("img", "src")) == 4
    assert page.visible.count("It is 2.5") == page.visible.count("It is 7") == 1
    assert contents(folder)["00_a.json"] == before["00_a.json"]

    (outcome,), _ = runner.run(["01"], **quick)
    assert contents(folder) == before
    (outcome,), _ = runner.run(["01"], **quick)
    assert outcome.changed == []


# The reference


def test_only_keep_makes_a_reference_of_tables_records_and_pictures_but_photographs(quick):
    reference = quick["reference"] / "toy"
    runner.run(**quick)
    assert not reference.exists()
    runner.run(keep=True, **quick)
    assert sorted(contents(reference)) == sorted(
        [
            *("00_a.json", "00_x.csv", "00_x.png", "00_y.csv", "00_y.png", "00_z_photos.csv"),
            *("01_b.json", "01_x.csv", "01_x.png", "01_y.csv", "01_y.png", "01_z_photos.csv"),
            "index.html",
        ]
    )
    assert Page(reference / gallery.PAGE).missing == []
    before = contents(reference)
    runner.run(overrides={"value": "7"}, **quick)
    assert contents(reference) == before


def test_what_papers_take_is_asked_for_and_linked_and_no_reference(quick, monkeypatch, tmp_path):
    own, asked = tmp_path / "mine.mplstyle", {}

    def for_a_paper(tasks, jobs, environment):
        yield from at_once(tasks, jobs, environment)
        asked.update(environment)
        if PAPER in environment:
            for kind in FOR_PAPER:
                (quick["figures"] / "toy" / f"00_x.{kind}").touch()

    monkeypatch.setattr(runner, "side_by_side", for_a_paper)
    with pytest.raises(FileNotFoundError, match=r"mine\.mplstyle"):
        runner.run(style=own, **quick)
    runner.run(**quick)
    assert not {PAPER, STYLE} & set(asked)
    own.touch()
    monkeypatch.chdir(tmp_path)
    runner.run(paper=True, style=Path("mine.mplstyle"), **quick)
    assert asked[STYLE] == str(own)
    (first, _), _ = runner.run(keep=True, **quick)
    assert first.written[:5] == [f"00_x.{end}" for end in ("png", "csv", *FOR_PAPER)]
    links = Page(quick["figures"] / "toy" / gallery.PAGE).all("a", "href")
    assert {f"00_x.{kind}" for kind in FOR_PAPER} <= set(links)
    assert "00_y.pdf" not in links
    kept = quick["reference"] / "toy"
    assert not [name for name in contents(kept) if name.endswith(FOR_PAPER)]
    assert ".pdf" not in (kept / gallery.PAGE).read_text()


def test_keep_of_one_notebook_renews_its_files_and_the_page_alone(quick):
    reference = quick["reference"] / "toy"
    runner.run(keep=True, **quick)
    before = contents(reference)
    mine = {"00_mine.csv", "01_mine.csv", "notes.md"}  # no record names them
    for name in mine:
        (reference / name).touch()
    write_profile(quick["folder"], "toy", "value: 7\n")
    runner.run(["01"], keep=True, **quick)
    after = contents(reference)
    assert set(after) - set(before) == mine
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"01_b.json", "01_x.csv", "01_y.csv", "01_z_photos.csv", "index.html"}
    runner.run(keep=True, **quick)
    assert set(contents(reference)) == set(before) | mine


def test_a_failed_run_keeps_nothing(quick):
    runner.run(keep=True, **quick)
    before = contents(quick["reference"] / "toy")
    parameters = "profile = ''\nchanges = {}\nvalue = 'x'\nseed = 0"
    write_profile(quick["folder"], "toy", "value: fail\n")
    for stem in ("00_a", "01_b"):
        write_notebook(quick["folder"], stem, parameters=parameters)
    with pytest.raises(runner.NotebookFailedError):
        runner.run(keep=True, **quick)
    assert contents(quick["reference"] / "toy") == before


def test_check_compares_with_the_reference_and_leaves_it_alone(quick):
    runner.run(keep=True, **quick)
    before = contents(quick["reference"] / "toy")
    outcomes, found = runner.run(check=True, **quick)
    assert len(outcomes) == 2
    assert found.faults == []
    assert (quick["figures"] / "toy" / "check.csv").read_text().startswith("notebook,exact")
    found = runner.run(["01"], overrides={"value": "7"}, check=True, **quick)[1]
    assert {d.file[:2] for d in found.differences} == {"01"}
    assert len(found.faults) == 1
    assert contents(quick["reference"] / "toy") == before
    (quick["folder"] / "00_a.ipynb").unlink()
    (one,) = runner.run(check=True, **quick)[1].differences
    assert (one.file, one.reference, one.now) == ("00_a.json", "a record", "missing")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"keep": True, "overrides": {"value": "7"}}, "leave -p out"),
        ({"keep": True, "style": STYLE_SHEET}, "leave --style out"),
        ({"keep": True, "check": True}, "give one of them"),
        ({"check": True}, "Nothing to compare with"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_runs(quick, asked, message):
    with pytest.raises(ValueError, match=message):
        runner.run(**asked, **quick)
    assert not quick["figures"].exists()


def test_the_command_says_where_the_page_is(monkeypatch):
    monkeypatch.setattr(runner, "run", lambda *args, **kwargs: ([], None))
    line = CliRunner().invoke(cli.app, ["figures", "--profile", "osie"]).output.splitlines()[-1]
    assert line.startswith("All figures on one page: /")
    assert line.endswith("figures/osie/index.html")
    assert "index.html" in CliRunner().invoke(cli.app, ["figures", "--help"]).output


def test_every_profile_has_words_for_the_page():
    assert all(read_profile(name).description for name in profile_names())


def test_the_four_findings_lead_the_page_and_are_drawn_from_the_tables(tmp_path):
    shutil.copytree(REFERENCE / "toy", tmp_path / "toy")
    folder = tmp_path / "toy"
    (folder / overview.PICTURE).unlink(missing_ok=True)
    page = Page(gallery.write(folder))
    assert page.all("img", "src")[0] == overview.PICTURE
    first = (folder / overview.PICTURE).read_bytes()
    gallery.write(folder)
    assert (folder / overview.PICTURE).read_bytes() == first
    shown = pd.read_csv(folder / "findings.csv")
    assert shown["finding"].unique().tolist() == ["F1", "F2", "F3", "F4"]
    (heads,) = shown.query("finding == 'F2' and row == 'person_head'")["value"]
    told = pd.read_csv(folder / "03_map.csv").query("measure == 'share' and what == 'change'")
    assert heads == told.set_index("category")["value"]["person_head"]
    (pair,) = shown.query("finding == 'F2' and row == 'person_head − text'")["value"]
    assert pair == pd.read_csv(folder / "03_favoured.csv")["value"][0]
    table = pd.read_csv(folder / "04_lead.csv").assign(value=0.5)
    table.to_csv(folder / "04_lead.csv", index=False)
    gallery.write(folder)
    assert (folder / overview.PICTURE).read_bytes() != first


def test_a_table_of_another_form_is_left_out_of_the_picture_with_a_warning(tmp_path):
    (tmp_path / "03_map.csv").write_text("a,b\n1,2\n")
    with pytest.warns(UserWarning, match=r"03_map\.csv is not shown in findings\.png: KeyError"):
        assert overview.write(tmp_path) == tmp_path / "findings.png"


def test_no_tables_no_picture(tmp_path):
    assert overview.write(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text"), [("findings.png", "my own"), ("findings.csv", "my own,table\n1,2\n")]
)
def test_findings_of_somebody_else_are_not_written_over(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(FileExistsError, match=f"{name} is not one of saliencykit's"):
        gallery.write(tmp_path)
    assert (tmp_path / name).read_text() == text
    (tmp_path / name).unlink()
    shutil.copy(REFERENCE / "toy" / "03_map.csv", tmp_path)
    gallery.write(tmp_path)
    gallery.write(tmp_path)  # our own are
