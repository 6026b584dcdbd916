"""In a real browser: JupyterLab, Voilà's page, the exported one, the gallery, as a person does.

Wants playwright (the extra `browser`) and a chromium; skipped, saying so, without. Screenshots are
kept in $SALIENCYKIT_ARTEFACTS, if set.
"""

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from saliencykit import cli
from saliencykit.analyses.unit_explorer import page as exported_page
from saliencykit.analyses.unit_explorer.figures import UnitExplorer
from saliencykit.analyses.unit_explorer.tables import every_unit
from saliencykit.dissection.report import best_images
from saliencykit.models import upsample
from saliencykit.paths import NOTEBOOKS, REFERENCE
from saliencykit.running import gallery
from saliencykit.running.profiles import assign
from saliencykit.running.runner import run
from saliencykit.settings import read_profile
from saliencykit.study import Study
from saliencykit.viewing.style import label
from tests.conftest import Scattered
from tests.test_page import small_explorer
from tests.test_running import kernels_of, wait_for

api = pytest.importorskip("playwright.sync_api", reason="playwright (extra `browser`) is missing")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install it, or set CHROMIUM"),
]
NAME = "09_unit_explorer.ipynb"
READY = 180_000  # ms until a page has computed what it shows
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ELSEWHERE = ("net::ERR_NAME_NOT_RESOLVED", "net::ERR_INTERNET_DISCONNECTED", "cdn.jsdelivr.net")
"""What the console says of Voilà's icons, which its template would have from another server."""


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 720})
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.on(
        "console",
        lambda m: (
            opened.errors.append(m.text)
            if m.type == "error" and not any(known in m.text for known in ELSEWHERE)
            else None
        ),
    )
    yield opened
    keep(opened, "last")
    opened.close()


def keep(page, name):
    """Keep a screenshot, if somebody wants them."""
    if folder := os.environ.get("SALIENCYKIT_ARTEFACTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An environment in whose cache notebook 09 has run headlessly, and its executed copy."""
    folder = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "OMP_NUM_THREADS", "1"
        )  # as where several run side by side: see test_notebooks
        outcomes, _ = run(["09"], profile="smoke", figures=folder / "figures")
    environment = {
        **os.environ,
        "SALIENCYKIT_FIGURES": str(folder / "figures"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "OMP_NUM_THREADS": "1",
    }
    return environment, outcomes[0].executed


@contextmanager
def serving(command, environment, log):
    """Run a server until the block ends; `{port}` in its command becomes a free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(log, "w") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=port) for part in command)],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert started.poll() is None, Path(log).read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(started.pid, 15)
        started.wait(20)


def pictures(page):
    """The addresses of the widget's pictures."""
    return [image.get_attribute("src") for image in page.locator("img.widget-image").all()]


def move(page, label, key="ArrowRight"):
    """Press a key on the slider with this label; return which pictures changed, and seconds."""
    row = page.locator(".widget-slider", has=page.get_by_text(label, exact=True)).first
    before, start = pictures(page), time.perf_counter()
    row.locator(".noUi-handle").focus()
    page.keyboard.press(key)
    while pictures(page) == before and time.perf_counter() - start < 20:
        page.wait_for_timeout(10)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(500)
    after = pictures(page)
    return [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b], seconds


def check_instrument(page):
    """Five pictures; the sliders change those that they are about; nothing complains."""
    page.wait_for_function("document.querySelectorAll('img.widget-image').length == 5")
    look, over, bars, top, maps = range(5)
    assert move(page, "place")[0] == [over, bars, top]
    assert move(page, "image")[0] == [look, over, maps]
    assert move(page, "threshold")[0] == [over, bars, top]
    layer = page.locator(".widget-hslider, .widget-slider").filter(has_text="layer").first
    layer.locator(".noUi-handle").focus()
    before = pictures(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(1500)
    assert pictures(page)[over] != before[over]
    before = pictures(page)
    page.get_by_label("regions").click()
    page.wait_for_timeout(1500)
    assert pictures(page)[look] != before[look]
    assert page.errors == [], "\n".join(page.errors)


def test_jupyterlab_runs_the_explorer_and_its_sliders_move(page, place, tmp_path):
    environment, executed = place
    (parameters,) = assign([NOTEBOOKS / NAME], read_profile("smoke"))
    notebook = nbformat.read(NOTEBOOKS / NAME, 4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    cell.source += "\n" + "\n".join(f"{k} = {v!r}" for k, v in parameters.items())
    (tmp_path / "lab").mkdir()
    nbformat.write(notebook, tmp_path / "lab" / NAME)
    command = [
        "jupyter",
        "lab",
        "--no-browser",
        "--port={port}",
        "--ServerApp.token=",
        "--allow-root",
    ]
    command += ["--ServerApp.password=", f"--ServerApp.root_dir={tmp_path / 'lab'}"]
    with serving(command, environment, tmp_path / "lab.txt") as address:
        page.goto(f"{address}/lab/tree/{NAME}?reset", timeout=READY)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=READY)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=READY)
        page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
        page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
        page.locator("img.widget-image").first.wait_for(timeout=READY)
        page.wait_for_timeout(1000)
        keep(page, "lab")
        check_instrument(page)
        keep(page, "lab_moved")
        shown = page.locator(".jp-RenderedImage img").all()
        shown = {image.get_attribute("src").split(",", 1)[1].strip() for image in shown}
    headless = last_png(executed)
    assert base64.b64encode(headless).decode() in {text.replace("\n", "") for text in shown}


def last_png(executed):
    """The last picture that a headless run shows: the widget's first."""
    outputs = [o for c in nbformat.read(executed, 4).cells for o in c.get("outputs", ())]
    return base64.b64decode(
        [o.data["image/png"] for o in outputs if "image/png" in o.get("data", ())][-1]
    )


def test_voila_serves_the_explorer_without_code(page, place, tmp_path):
    environment, _ = place
    command = ["saliencykit", "explore", "--profile", "smoke", "--no-browser", "--port", "{port}"]
    log = tmp_path / "voila.txt"
    with serving(command, environment, log) as address:
        wait_for(lambda: "token=" in log.read_text())
        key = log.read_text().partition("token=")[2].split()[0]
        failed = {}
        page.on("requestfailed", lambda request: failed.update({request.url: request.failure}))
        page.goto(f"{address}/?token={key}", timeout=READY)
        page.locator("img.widget-image").first.wait_for(timeout=READY)
        page.wait_for_timeout(1000)
        keep(page, "voila")
        assert page.locator(".jp-InputArea-editor, .CodeMirror").count() == 0
        check_instrument(page)
        page.set_viewport_size({"width": 480, "height": 800})
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 480
        keep(page, "voila_narrow")
        own_image(page, tmp_path / "large.png")
        assert {why for a, why in failed.items() if not a.startswith(address)} == {"csp"}
        assert len(kernels_of(os.getpid())) == 1
        page.goto("about:blank")
        wait_for(
            lambda: not kernels_of(os.getpid()), 20
        )  # it ends with its page: without one it has a minute


def own_image(page, file):
    """Upload a photograph that is larger than a web socket's messages usually may be."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2400, 3), np.uint8)
    Image.fromarray(noise).save(file)
    assert file.stat().st_size > 10 << 20
    before = pictures(page)
    with page.expect_file_chooser() as chosen:
        page.locator("button.jupyter-widgets", has_text="own image").click()
    chosen.value.set_files(file)
    page.wait_for_function(
        "before => [...document.querySelectorAll('img.widget-image')].every("
        "(image, i) => [2, 3].includes(i) || image.src != before[i])",
        arg=before,
        timeout=READY,
    )
    assert page.errors == [], "\n".join(page.errors)


# The exported page


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The page that the command exports of the smoke profile, and what it is of."""
    folder = tmp_path_factory.mktemp("exported") / "page"
    done = CliRunner().invoke(
        cli.app, ["explore", "--profile", "smoke", "--export", str(folder)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert f"{folder}/index.html: 3 files" in done.output
    networks = ["fine-tuned", "pre-trained"]
    return folder, UnitExplorer.of(Study.from_profile("smoke"), networks, compared=())


@pytest.fixture
def opened(page, exported):
    """The exported page, opened from disk."""
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    opens(page, exported[0])
    yield page
    assert page.errors == []


def opens(page, folder, fragment=""):
    """Open an exported page and wait until it has drawn."""
    page.goto((folder / "index.html").as_uri() + fragment)
    page.locator("body[data-drawn]").wait_for()
    settled(page)


def settled(page):
    """Wait until nothing more is being drawn; the page's policy bars playwright's own polling."""
    page.wait_for_timeout(50)
    wait_for(lambda: page.evaluate("Number(document.body.dataset.drawn) === asked"))


def shows(page):
    """What the page shows, part by part: pictures as they are drawn, texts as they are read."""
    canvases = "all => all.map(c => c.toDataURL())"
    found = {
        "maps": page.eval_on_selector_all(".stage canvas", canvases),
        "best": page.eval_on_selector_all(".tiles canvas", canvases),
        "image": page.locator("#stage0 img").get_attribute("src"),
        "drawn over": page.locator("#stage0 svg").inner_html(),
        "chart": page.locator("#numbers tbody").inner_html(),
        "numbers": page.locator("#numbers .values").all_inner_texts(),
        "sentence": page.locator("#sentence").inner_text(),
        "stages": [page.locator(f"#stage{k}").is_visible() for k in (1, 0)],
    }
    return found | {"line": found["chart"].partition("threshold")[2][:40]}


@pytest.mark.parametrize(
    ("control", "key", "changed"),
    [
        ("category", "ArrowDown", {"numbers", "sentence", "best", "maps", "drawn over"}),
        ("layer", "ArrowLeft", {"numbers", "sentence", "best", "maps", "drawn over"}),
        ("order", "ArrowDown", {"numbers", "sentence", "best", "maps", "drawn over"}),
        ("unit", "ArrowRight", {"numbers", "sentence", "best", "maps", "drawn over"}),
        ("image", "ArrowRight", {"maps", "image", "drawn over"}),
        ("threshold", "ArrowRight", {"maps", "best", "line"}),
        ("both", "ArrowRight", {"stages"}),
        ("regions", "Space", {"drawn over"}),
        ("fixations", "Space", {"drawn over"}),
    ],
)
def test_each_control_of_the_exported_page_changes_what_it_is_about(opened, control, key, changed):
    before = shows(opened)
    opened.locator(f"#{control}").focus()
    opened.keyboard.press(key)
    settled(opened)
    now = shows(opened)
    differ = {name for name in now if now[name] != before[name]} - {"chart"}
    assert differ == changed
    assert all(address.startswith(("file:", "data:")) for address in opened.asked)


def test_the_exported_page_is_used_by_keyboard_alone(opened):
    reached = []
    while len(reached) < 99:
        opened.keyboard.press("Tab")
        if opened.evaluate("document.activeElement === document.body"):
            break  # all the way round
        at = "e => e.id || e.ariaLabel || e.innerText"
        reached.append(opened.evaluate(f"({at})(document.activeElement)"))
        ring = opened.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring != "none" or reached[-1] == "both"  # whose label has it
    assert 40 < len(reached) < 99
    opened.locator("#sources summary").focus()
    opened.keyboard.press("Enter")
    assert opened.locator("#sources dl").is_visible()
    controls = ["category", "layer", "order", "unit", "image", "threshold", "both", "regions"]
    found = [name for name in reached if name in controls]
    assert found[: len(controls)] == controls
    assert reached.index("unit: one back") == reached.index("unit") - 1
    assert len([n for n in reached if n.startswith("The unit over the image, ")]) == 2
    assert "person head" in reached

    opened.locator("#stage0 .picture").focus()
    opened.keyboard.press("ArrowRight")
    first = opened.locator("#read").inner_text()
    opened.keyboard.press("Shift+ArrowDown")
    assert opened.locator("#read").inner_text() != first
    opened.get_by_role("button", name="text", exact=True).focus()
    opened.keyboard.press("Enter")
    settled(opened)
    assert opened.locator("#category option:checked").inner_text() == "text"
    tile = opened.locator("#tiles0 button").nth(1)
    tile.focus()
    opened.keyboard.press("Enter")
    settled(opened)
    assert tile.get_attribute("aria-pressed") == "true"
    named = "all => all.every(e => e.labels.length || e.ariaLabel)"
    assert opened.eval_on_selector_all("select, input", named)


@pytest.mark.parametrize("dark", [False, True])
def test_the_exported_page_fits_a_telephone(page, exported, dark):
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.set_viewport_size({"width": 360, "height": 740})
    opens(page, exported[0])
    page.locator("#sources summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    style = "getComputedStyle(document.body)"
    ink, paper = (
        page.evaluate(f"parseInt({style}.{what}.slice(4))") for what in ("color", "backgroundColor")
    )
    assert (ink > 200) == (paper < 50) == dark
    keep(page, f"exported_{'dark' if dark else 'light'}")


def test_what_the_exported_page_says_is_what_the_package_measures(opened, exported):
    _, explorer = exported
    tables = {n: every_unit(explorer.every(n), "conv5_3") for n in explorer.encoders}
    after, before = (t.set_index(["category", "unit"])["value"] for t in tables.values())
    unit = int(after["person_head"].idxmax())
    assert after["person_head"].max() == max(
        every_unit(explorer.every("fine-tuned"), layer)
        .query("category == 'person_head'")["value"]
        .max()
        for layer in explorer.layers
    )
    said = opened.locator("#sentence").inner_text()
    assert f"Unit {unit} of conv5_3" in said
    for category, text in zip(
        explorer.categories, opened.locator("#numbers .values").all_inner_texts(), strict=True
    ):
        numbers = [float(n.replace("−", "-")) for n in text.split()]
        assert numbers == pytest.approx([before[category, unit], after[category, unit]], abs=0.0051)
    for network, k in (("fine-tuned", 0), ("pre-trained", 1)):
        best = best_images(
            explorer.results[network].subset(explorer.data.names),
            "conv5_3",
            unit,
            5,
            "person_head",
        )
        tiles = opened.locator(f"#tiles{k} button:visible").all()
        assert [t.get_attribute("aria-label").split(",")[0] for t in tiles] == best


def test_a_pixel_of_the_exported_page_is_the_unit_there(opened, exported):
    _, explorer = exported
    image, unit, layer = (opened.evaluate(f"state.{n}") for n in ("image", "unit", "layer"))
    name = explorer.layers[layer]
    number = opened.evaluate("layers[state.layer].units[state.unit]")
    assert number == unit  # of the deepest layer all are there
    tall, wide = opened.evaluate(f"images[{image}].size")
    colours = mpl.colormaps[exported_page.COLOURS](np.arange(256), bytes=True)[:, :3].astype(int)
    for k, network in enumerate(explorer.encoders):
        values = explorer.activity.unit(network, name, unit, image)
        full = upsample(values[None, None], (tall, wide))[0, 0]
        full = ((full - full.mean()) / full.std(correction=0)).numpy()
        y, x = np.unravel_index(full.argmax(), full.shape)
        x, y = int(x), int(y)
        places, bright = [(x, y), (x // 2, y), (x, y // 2), (wide - 1, tall - 1), (0, 0)], 0
        for x, y in places:
            pixel = opened.evaluate(
                "([k, x, y]) => [...document.querySelectorAll(`#stage${k} canvas`)[0]"
                ".getContext('2d').getImageData(x, y, 1, 1).data]",
                [k, x, y],
            )
            assert opened.evaluate(f"drawn[{k}].z[{y * wide + x}]") == pytest.approx(
                full[y, x], abs=1e-3
            )
            covered = 180 * min(max(full[y, x] / 2, 0), 1)
            if pixel[3] == 255:  # of the line
                assert full[y, x] > 1.5
                continue
            assert pixel[3] == pytest.approx(covered, abs=1.01)
            if pixel[3] == 180:
                shown = colours[round(255 * min(full[y, x] / 6, 1))]
                assert pixel[:3] == pytest.approx(shown.tolist(), abs=3)
                bright += 1
        assert bright


def test_an_address_tells_what_the_exported_page_shows(page, exported):
    opens(page, exported[0], "#layer=conv5_3&unit=7&category=text&image=none&threshold=2.5")
    assert page.locator("#sentence").inner_text().startswith("Unit 7 of conv5_3")
    assert page.locator("#threshold-said").inner_text() == "2.50"
    assert "category=text" in page.url
    page.locator("#order").select_option("number")
    settled(page)
    assert page.locator("#unit-said").inner_text() == "7 (8 of 96)"
    unit, shown = page.evaluate("[layers[0].units[1], layers[0].units.length]")
    page.goto("about:blank")
    opens(page, exported[0], f"#layer=conv1_2&unit={unit}&category=person_head")
    assert page.locator("#sentence").inner_text().startswith(f"Unit {unit} of conv1_2")
    place = page.locator("#unit-said").inner_text()
    assert place in [f"{unit} ({k} of {shown})" for k in range(1, shown + 1)]


def test_a_layer_that_is_not_beside_the_exported_page_is_told(page, exported, tmp_path):
    shutil.copytree(exported[0], tmp_path / "page")
    (tmp_path / "page" / "layer0.js").unlink()
    opens(page, tmp_path / "page")
    page.locator("#layer").focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("layer0.js is not beside this page.").wait_for()
    assert len(page.errors) == 1  # the browser's own
    page.keyboard.press("ArrowRight")
    page.locator("#trouble").wait_for(state="hidden")


class Hostile(Scattered):
    """Data that name things so that they would run in a page that trusted them."""

    categories = ("<img src=x onerror=alert(1)>", "</script><b>dark")

    def regions(self, i):
        found = super().regions(i)
        return [type(r)(c, mask=r.mask) for r, c in zip(found, self.categories, strict=True)]

    def scene(self, i):
        return "<i>here</i>"


def test_names_cannot_break_the_exported_page(page, tmp_path):
    exported_page.write(small_explorer(Hostile(20)), tmp_path, "", {"profile": "<u>x</u>"})
    opens(page, tmp_path)
    for name in Hostile.categories:
        assert page.get_by_role("button", name=label(name), exact=True).is_visible()
    assert label(Hostile.categories[0]) in page.locator("#sentence").inner_text()
    assert "<i>here</i>" in page.locator("#look-title").inner_text()
    assert page.locator("#numbers img, main i:not([class]):not([style]), u, tbody b").count() == 0
    assert page.errors == []


@pytest.mark.parametrize("profile", ["toy", "osie", "osie_mobilenet"])
def test_gallery_opens_from_disk_and_all_its_links_lead_somewhere(page, profile):
    path = REFERENCE / profile / gallery.PAGE
    if not path.exists():
        pytest.skip(f"{path} is not there: `saliencykit figures --keep` makes it")
    page.goto(path.as_uri())
    page.wait_for_load_state()
    for attribute, selector in (("href", "a"), ("src", "img")):
        for element in page.locator(f"{selector}[{attribute}]").all():
            target = element.get_attribute(attribute)
            if target.startswith("#"):
                assert page.locator(f"[id='{target[1:]}']").count() == 1, target
            else:
                assert (path.parent / target).is_file(), target
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    drawn_here = [o.get_attribute("data") for o in page.locator("object[data]").all()]
    assert all(name.endswith("_photos.png") for name in drawn_here)  # what git ignores may lack
    absent = [name for name in drawn_here if not (path.parent / name).is_file()]
    assert len(page.errors) <= len(absent)
    assert all("ERR_FILE_NOT_FOUND" in error for error in page.errors)
    page.evaluate("window.scrollTo(0, 0)")
    keep(page, f"gallery_{profile}")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
