"""The site: built once, by the command of `make site`; its links, its notebooks, in a browser.

Wants the extra `site`, and for the browser `browser` and a chromium; skipped, saying so, without.
"""

import base64
import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from saliencykit.datasets.base import DATASETS
from saliencykit.models.classical import CLASSICAL
from saliencykit.paths import NOTEBOOKS, REFERENCE, ROOT
from saliencykit.running import records

for extra in ("mkdocs", "material", "mkdocstrings_handlers.python"):
    pytest.importorskip(extra, reason="the extra `site` is not installed")
pytestmark = pytest.mark.slow

PICTURE = REFERENCE / "toy" / "03_map.png"


def executed(stem, folder, **changed):
    """Write a copy of a notebook as a run of profile toy leaves it, but for what is `changed`."""
    notebook = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text("utf-8"))
    run = {"exception": None, "parameters": {"profile": "toy"}, "start_time": "2026-11-26T11:50"}
    notebook["metadata"]["papermill"] = run | changed
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    data = [
        {"text/html": '<b>Study</b><style>\n#a {}\n\n#b {}</style><table class="x"></table>'},
        {"image/png": base64.b64encode(PICTURE.read_bytes()).decode(), "text/plain": "<Figure>"},
        {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "a widget, which is gone"},
    ]
    shown = [{"output_type": "display_data", "metadata": {}, "data": each} for each in data]
    said = {"output_type": "stream", "name": "stdout", "text": "saliencykit 0.1.0, of a test\n"}
    cells[0]["outputs"] = [said, said | {"name": "stderr", "text": "a warning, which is gone"}]
    cells[2]["outputs"] = shown
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.ipynb").write_text(json.dumps(notebook), "utf-8")
    return notebook


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's folder; in the cache were a run of notebook 00 and an old one of 01."""
    folder = tmp_path_factory.mktemp("site")
    copies = folder / "cache" / "executed" / "toy"
    executed("00_data", copies)
    old = executed("01_models", copies)
    old["cells"][-1]["source"] = "of = another_version"
    (copies / "01_models.ipynb").write_text(json.dumps(old), "utf-8")
    (command,) = re.findall(r"^site:.*\n.*\)/(mkdocs .*)$", (ROOT / "Makefile").read_text(), re.M)
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), "--site-dir", folder / "site"],
        cwd=ROOT,
        env={**os.environ, "SALIENCYKIT_CACHE": str(folder / "cache"), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "site"


class Page(HTMLParser):
    """What of a page leads elsewhere, what can be led to, and its text but for code."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.leads, self.text, self.inside = set(), [], "", []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found.get("id"), found.get("name") if tag == "a" else None}
        self.leads += [(tag, found[a]) for a in ("href", "src", "data", "poster") if found.get(a)]
        self.inside += [tag] if tag in ("pre", "code", "script", "style") else []

    def handle_endtag(self, tag):
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data):
        self.text += data if not self.inside else ""


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_everything_is_there(site, pages):
    notebooks = {f"notebooks/{path.stem}.html" for path in NOTEBOOKS.glob("*.ipynb")}
    docs = {f"docs/{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    galleries = {f"figures/reference/{path.name}/index.html" for path in REFERENCE.iterdir()}
    kit = ("metrics", "datasets", "models", "dissection", "evaluation", "intervals", "study")
    wanted = {"index.html", *notebooks, *docs, *galleries, *(f"api/{room}.html" for room in kit)}
    assert wanted <= {path.relative_to(site).as_posix() for path in pages}


def test_everything_that_is_known_by_a_name_has_its_docstring_shown(site, pages):
    for room, known in (("datasets", DATASETS), ("models.classical", CLASSICAL)):
        names = {f"{thing.__module__}.{thing.__name__}" for thing in known.values()}
        assert names <= pages[site / "api" / f"{room}.html"].ids


def test_every_link_leads_somewhere(site, pages):
    lost = []
    for path, page in pages.items():
        for tag, lead in page.leads:
            url = urlsplit(lead)
            if url.scheme or url.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            photograph = tag == "object" and "_photos" in target.stem  # drawn, not published
            known = url.fragment in {"", *pages[target].ids} if target in pages else True
            if not (photograph or (target.is_file() and known)):
                lost.append((path.relative_to(site).as_posix(), lead))
    assert lost == []


def test_pages_load_nothing_from_elsewhere(site, pages):
    loaded = {lead for page in pages.values() for tag, lead in page.leads if tag != "a"}
    assert {lead for lead in loaded if re.match(r"(?!data:)\w+:|//", lead)} == set()
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import) *[\"']?(?:https?:)?//", styles) == []


def test_markdown_is_understood_as_github_does(pages):
    """Fences or lists that are indented otherwise, tables without a line, would show as typed."""
    for path, page in pages.items():
        assert not re.search(r"```|^(?:- |\d\. |\||#+ )\w", page.text, re.M), path
        assert "&lt;autoref" not in path.read_text("utf-8"), path  # a name, linked inside a block


def test_docstrings_show_as_they_are_written(pages):
    (text,) = (page.text for path, page in pages.items() if path.match("api/datasets.html"))
    assert "else $SALIENCYKIT_DATA/<name>, else the user cache" in " ".join(text.split())


def test_the_last_run_is_shown_where_it_is_of_this_notebook(site, pages):
    page, old = (pages[site / "notebooks" / f"{n}.html"] for n in ("00_data", "01_models"))
    assert "Executed on 2026-11-26, profile toy" not in old.text
    assert "Executed on 2026-11-26, profile" in page.text
    assert "is gone" not in (site / "notebooks" / "00_data.html").read_text()
    (picture,) = (lead for tag, lead in page.leads if tag == "img")
    assert (site / "notebooks" / picture).read_bytes() == PICTURE.read_bytes()
    assert "What we see" in page.text  # what follows the table is Markdown again


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb"))[1:], ids=lambda path: path.stem)
def test_where_nothing_ran_the_reference_is_shown(site, pages, path):
    record = records.read(REFERENCE / "toy" / f"{path.stem}.json")
    page = pages[site / "notebooks" / f"{path.stem}.html"]
    shown = {Path(lead).stem for tag, lead in page.leads if tag == "img"}
    assert shown == set(records.figures(record))
    said = max(re.split(r"`|\*|\n(?:- )?", record["finding"][2:]), key=len)
    assert page.text.count(said) == 1
    assert "Not executed here" in page.text


@pytest.fixture
def hooks(monkeypatch, tmp_path):
    """The module of the site's hooks, its cache and reference in a folder of the test's."""
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "site" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "REFERENCE", tmp_path / "reference")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, True),
        ({"exception": True}, False),
        ({"parameters": {"profile": "toy", "changes": {"epochs": 1}}}, False),
    ],
)
def test_runs_that_failed_or_were_of_other_settings_are_not_shown(hooks, tmp_path, changed, shown):
    executed("00_data", tmp_path / "executed" / "toy", **changed)
    text = dict(hooks.pages(NOTEBOOKS / "00_data.ipynb"))["00_data.md"]
    assert ("Executed on" in text) == shown
    assert ("not drawn yet" in text) != shown


def test_photographs_are_not_published(hooks, tmp_path):
    folder = tmp_path / "reference" / "osie"
    folder.mkdir(parents=True)
    for name in ("00_a.png", "00_a_photos.png", "00_a_photos.csv"):
        (folder / name).write_bytes(b"")
    assert {path.name for path in hooks.galleries()} == {"00_a.png", "00_a_photos.csv"}


@pytest.fixture(scope="module")
def browser():
    from tests.test_browser import CHROMIUM, QUIET, api  # skips, saying so, without playwright

    if CHROMIUM is None:
        pytest.skip("no chromium: install it, or set CHROMIUM")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def tab(browser):
    """A page that keeps what it asks for and what its console says."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.asked, opened.errors = [], []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.on("console", lambda m: opened.errors.append(m.text) if m.type == "error" else None)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "name",
    ["index", "docs/metrics", "notebooks/00_data", "notebooks/03_fine_tuning", "api/metrics"],
)
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_open_from_disk(site, tab, name, width):
    tab.set_viewport_size({"width": width, "height": 900})
    tab.goto((site / f"{name}.html").as_uri())
    for image in tab.locator("article img").all():
        assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert {urlsplit(url).scheme for url in tab.asked} <= {"file", "data", "blob"}
    assert tab.errors == []


def test_search_works_from_disk(site, tab):
    tab.goto((site / "docs" / "cache.html").as_uri())
    tab.locator("input[name=query]").click()
    tab.keyboard.type("selectivity")
    first = tab.locator(".md-search-result__link").first
    first.wait_for(timeout=20_000)
    tab.goto(first.evaluate("link => link.href"))
    assert "selectivity" in tab.locator("article").inner_text().lower()
    assert tab.errors == []


def test_the_exported_explorer_has_its_place_if_it_was_made(hooks, monkeypatch, tmp_path):
    from mkdocs.config import load_config
    from mkdocs.structure.files import Files

    config, page = load_config(str(ROOT / "mkdocs.yml")), tmp_path / "explorer"
    config.plugins._current_plugin = "hooks"
    monkeypatch.setattr(hooks, "EXPLORER", page)
    monkeypatch.setattr(hooks, "ROOT", ROOT)
    before = len(config.nav)
    hooks.on_config(config)
    assert len(config.nav) == before
    page.mkdir()
    (page / "index.html").write_text('<a href="../../docs/explorer.md">what is shown</a>')
    (page / "layer0.js").write_text("maps")
    hooks.on_config(config)
    assert config.nav[1] == {"Click through the units": "explorer/index.html"}
    files = hooks.on_files(Files([]), config)
    shown = files.get_file_from_path("explorer/index.html").content_string
    assert shown == '<a href="../docs/explorer.html">what is shown</a>'
    assert files.get_file_from_path("explorer/layer0.js") is not None
