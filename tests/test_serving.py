"""What `saliencykit explore` serves: no code, the profile's parameters, no figure overwritten."""

import nbformat
import pytest

from saliencykit.paths import NOTEBOOKS
from saliencykit.registry import UnknownNameError
from saliencykit.running import serving
from tests.small_notebooks import write_notebook, write_profile


def test_page_keeps_title_widget_and_its_text(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "notebooks"
    write_notebook(folder, "09_small", "total = value + 1", "total")
    write_profile(folder, "p", "value: 4.0\n")
    path = serving.page("09", "p", {"seed": "3"}, folder)
    title, silent, widget, _ = nbformat.read(path, 4).cells
    assert title.source == "# 09_small"
    assert silent.source.startswith("%%capture\n")
    assert widget.source == "total"
    assert path.is_relative_to(tmp_path / "cache")
    said: dict = {}
    exec("\n".join(silent.source.splitlines()[1:]), said)  # as a kernel would
    assert (said["value"], said["changes"], said["total"]) == (4.0, {"seed": 3}, 5.0)
    with pytest.raises(UnknownNameError, match="value"):
        serving.page("09", "p", {"values": "3"}, folder)
    with pytest.raises(UnknownNameError, match="Known: p"):
        serving.page("09", "q", folder=folder)


def test_the_explorer_s_page_shows_no_code_before_the_widget(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    cells = nbformat.read(serving.page("09", "toy", folder=NOTEBOOKS), 4).cells
    assert [c.cell_type for c in cells] == ["markdown", "code", "code", "markdown"]
    assert cells[2].source == "instrument.widget()"
    assert "sort" in cells[3].source.lower()


def test_serving_leaves_the_committed_figures_alone(tmp_path, monkeypatch):
    calls = []

    def run(command, env):
        calls.append((command, env))
        return type("Done", (), {"returncode": 3})

    monkeypatch.setattr(serving.subprocess, "run", run)
    assert serving.serve(tmp_path / "page.ipynb", port=9123, browser=False) == 3
    ((command, env),) = calls
    assert {"--port=9123", "--no-browser"} <= set(command)
    assert env["SALIENCYKIT_FIGURES"] == str(tmp_path / "figures")
