"""The page of all figures, and the records that it is made of."""

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli
from saliencykit.running import gallery, records, runner
from saliencykit.running.profiles import profile_names
from tests.small_notebooks import write_notebook, write_profile

TITLE = """# 02 · Do units know?

**Question.** Do units know *text*? **The paper** says so.

**Steps.** Ask → see.
"""
PARAMETERS = """profile = "toy"
layers = ["a", "b"]  # those to dissect
weights = None
seed = 0"""


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


def executed(place, stem="02_units", finding="- Units know **text**: 82 % of them.", injected=""):
    """An executed copy, written as papermill and a kernel would have."""
    stems = [f"{stem[:3]}{name}" for name in ("by_layer", "again", "best")]
    printed = [
        new_output("stream", name="stdout", text="saliencykit 0.1.0, torch 2.9\n"),
        new_output("stream", name="stderr", text="a warning\n"),
    ]
    return write_notebook(
        place / "executed",
        stem,
        new_code_cell("print(sk.versions())", outputs=printed),
        new_code_cell(injected, metadata={"tags": ["injected-parameters"]}),
        new_markdown_cell("## By layer\nFrom *shallow* to deep."),
        f'viewing.save(figure, "{stems[0]}", table, profile)',
        f'viewing.save(figure, "{stems[1]}", table, profile)',
        new_markdown_cell("## The best"),
        f'viewing.save(figure, "{stems[2]}", table, profile, photographs=private)',
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
        copy = executed(tmp_path, f"{number}_units")
        draw(place, f"{number}_by_layer", rows=12)
        draw(place, f"{number}_again")
        draw(place, f"{number}_best" if number == "02" else f"{number}_best_photos", rows=1)
        records.write(copy, [p.name for p in place.glob(f"{number}_*.*")], place)
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
                    {"stem": "02_by_layer", "size": [90, 60]},
                    {"stem": "02_again", "size": [90, 60]},
                ],
            },
            {
                "heading": "The best",
                "text": "",
                "figures": [{"stem": "02_best", "size": [90, 60]}],
            },
        ],
        "finding": "With care.\n\n- Units know **text**: 82 % of them.\n\nOne more thing.",
        "parameters": {"profile": "toy", "layers": ["a", "b"], "weights": None, "seed": 0},
        "meanings": {"layers": "those to dissect"},
        "versions": "saliencykit 0.1.0, torch 2.9",
    }


def test_injected_parameters_count_and_name_no_folder_of_the_machine(tmp_path):
    injected = (
        'profile = "osie"\nweights = "/home/me/vgg.pt"\n'
        'layers = ["C:\\\\me\\\\a.pt", "~/b", "conv/c"]\nseed = 3'
    )
    copy = executed(tmp_path, injected=injected)
    path = records.write(copy, [], tmp_path)
    assert json.loads(path.read_text())["parameters"] == {
        "profile": "osie",
        "layers": ["a.pt", "~/b", "conv/c"],
        "weights": "vgg.pt",
        "seed": 3,
    }
    for private in ("/home", "me\\", str(tmp_path)):
        assert private not in path.read_text()


def test_figures_whose_names_code_puts_together_come_last(tmp_path):
    written = ["02_z.csv", "02_best.png", "02_best.csv", "02_a.csv"]
    sections = records.read_executed(executed(tmp_path), written, tmp_path)["sections"]
    found = [(s["heading"], [f["stem"] for f in s["figures"]]) for s in sections]
    assert found == [("The best", ["02_best"]), ("", ["02_a", "02_z"])]


def test_equal_results_give_equal_bytes_and_no_temporary_file(tmp_path, folder):
    paths = [folder / "02_units.json", folder / gallery.PAGE]
    seen = []
    for _ in range(2):
        records.write(executed(tmp_path), [p.name for p in folder.glob("02_*.*")], folder)
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
        "layers ['a', 'b'] those to dissect",
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
    stem = "02_un<its"
    copy = executed(
        tmp_path,
        stem,
        "- <script>alert(1)</script> a<b",
        "weights = '<b>bold</b>\"'\nseed = '&amp;'",
    )
    draw(place, "02_by_layer", picture=False)
    (place / "02_by_layer.csv").write_text('"<u>x","y&z"\n"<s>1",2\n')
    records.write(copy, ["02_by_layer.csv"], place)
    page = Page(gallery.write(place, "<q>all</q>"))
    assert not {"script", "b", "i", "u", "s", "q"} & {tag for tag, _ in page.tags}
    for words in ("<script>alert(1)</script> a<b", "<b>bold</b>", "&amp;", "<u>x", "<q>all</q>"):
        assert words in page.visible
    assert page.missing == []


def test_what_is_no_record_is_left_out_with_a_warning(folder):
    (folder / "02_units.json").write_text("{}")
    (folder / "09_x.json").write_text("{")
    with pytest.warns(UserWarning, match="is no record of a notebook") as caught:
        page = Page(gallery.write(folder))
    assert len([w for w in caught if "left out" in str(w.message)]) == 2
    assert page.all("img", "src") == ["03_by_layer.png", "03_again.png"]


def test_a_page_without_notebooks_says_so(tmp_path):
    assert "No notebook has run" in Page(gallery.write(tmp_path)).visible


# Running

DRAW = """
import os
from pathlib import Path
from IPython.display import Markdown
from PIL import Image
folder = Path(os.environ["SALIENCYKIT_FIGURES"]) / profile
Image.new("RGB", (30, 20)).save(folder / "00_a_x.png")
(folder / "00_a_x.csv").write_text(f"unit,value\\na,{value}\\n")
"""


@pytest.fixture
def where(tmp_path, monkeypatch):
    """A notebooks folder with a profile, a figures folder, a cache of its own."""
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    write_profile(tmp_path / "notebooks", "toy", "# A small world\nvalue: 2.5\n")
    return {"folder": tmp_path / "notebooks", "figures": tmp_path / "figures"}


@pytest.mark.slow
def test_a_notebook_that_ran_is_on_the_page(where):
    see = new_markdown_cell("## What we see"), 'Markdown(f"{profile} has **{value}**")'
    write_notebook(where["folder"], "00_a", DRAW, *see)
    runner.run(**where)
    page = Page(where["figures"] / "toy" / gallery.PAGE)
    assert page.all("img", "src") == ["00_a_x.png"]
    assert page.missing == []
    for words in ("toy has 2.5", "value 2.5", "A small world.", "Its 1 row"):
        assert words in page.visible


def at_once(tasks, jobs, environment):
    """What side_by_side does, without kernels: each notebook draws a figure and says its value."""
    for index, task in enumerate(tasks):
        yield index, {"kind": "start"}
        stem, value = task.notebook.stem, task.parameters["value"]
        draw(Path(environment["SALIENCYKIT_FIGURES"]) / "toy", f"{stem}_x")
        executed(task.output.parent, stem, f"It is **{value}**.", f"value = {value}")
        (task.output.parent / "executed" / task.output.name).replace(task.output)
        yield index, {"kind": "done", "memory": None}


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
    runner.run(**quick)
    before = contents(folder)
    page = Page(folder / gallery.PAGE)
    assert page.all("img", "src") == ["00_a_x.png", "01_b_x.png"]
    assert page.visible.count("It is 2.5") == 2

    (folder / gallery.PAGE).unlink()
    runner.run(["01"], overrides={"value": "7"}, **quick)
    page = Page(folder / gallery.PAGE)
    assert page.all("img", "src") == ["00_a_x.png", "01_b_x.png"]
    assert page.visible.count("It is 2.5") == page.visible.count("It is 7") == 1
    assert contents(folder)["00_a.json"] == before["00_a.json"]

    runner.run(["01"], **quick)
    assert contents(folder) == before


def test_check_writes_neither_record_nor_page(quick):
    folder = quick["figures"] / "toy"
    runner.run(**quick)
    (folder / gallery.PAGE).write_text("mine")
    (folder / "00_a.json").unlink()
    before = contents(folder)
    assert runner.run(check=True, overrides={"value": "7"}, **quick)[1] == []
    assert contents(folder) == before


def test_the_command_says_where_the_page_is(monkeypatch):
    monkeypatch.setattr(runner, "run", lambda *args, **kwargs: ([], []))
    line = CliRunner().invoke(cli.app, ["figures", "--profile", "osie"]).output.splitlines()[-1]
    assert line.startswith("All figures on one page: /")
    assert line.endswith("figures/osie/index.html")
    assert "page" not in CliRunner().invoke(cli.app, ["figures", "--check"]).output
    assert "index.html" in CliRunner().invoke(cli.app, ["figures", "--help"]).output


def test_every_profile_has_words_for_the_page():
    assert all(profile_names().values())
