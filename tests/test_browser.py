"""In a real browser: JupyterLab, Voilà's page and the gallery, as a person meets them.

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

import nbformat
import numpy as np
import pytest
from PIL import Image

from saliencykit.paths import NOTEBOOKS, REFERENCE
from saliencykit.running import gallery
from saliencykit.running.profiles import assign
from saliencykit.running.runner import run
from saliencykit.settings import read_profile
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
