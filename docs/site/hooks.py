"""What `mkdocs build` does for this site beside its own: see mkdocs.yml.

Pages lie as their sources do in the repository. README.md is the first; notebooks and the API are
written when the site is built; the galleries are copied as they are.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from nbformat.v4 import new_output

from saliencykit.paths import NOTEBOOKS, PACKAGE, PHOTOGRAPHS, REFERENCE, ROOT, cache_root
from saliencykit.running import records
from saliencykit.running.profiles import assign
from saliencykit.settings import read_profile

EXPLORER = ROOT / "build" / "explorer"  # of `make page`, if it was called
PROFILE = "toy"  # its pictures are drawn by code: photographs are not ours to publish
ABOVE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
WIDGET = "application/vnd.jupyter.widget-view+json"
REGISTRIES = {"datasets": "DATASETS", "models.classical": "CLASSICAL"}
REGISTERED = (
    "    options: {heading_level: 2, show_root_full_path: false, show_root_toc_entry: true}\n"
)
SLIDERS = "Its sliders move in JupyterLab: `make lab`."
MEMBER = re.compile(r"(?<!`)`(?:sk|saliencykit)\.([\w.]+)(\([^`]*\))?`(?!`)")


def on_config(config: MkDocsConfig) -> None:
    """Give the explorer's page a place in the navigation, if it was made."""
    if (EXPLORER / "index.html").is_file():
        config.nav.insert(1, {"Click through the units": "explorer/index.html"})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put everything at its place in the repository."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    docs = (p for p in Path(config.docs_dir).rglob("*") if p.is_file() and p.suffix != ".py")
    for path in (*(ROOT / name for name in ABOVE), *docs, *galleries()):
        place = path.relative_to(ROOT).as_posix()
        files.append(File(place, str(ROOT), config.site_dir, config.use_directory_urls))
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for name, content in pages(path):
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    for path in EXPLORER.glob("*"):
        content = path.read_text("utf-8").replace("../../docs/explorer.md", "../docs/explorer.html")
        files.append(File.generated(config, f"explorer/{path.name}", content=content))
    for name in re.findall(r"'api/([\w.]+)\.md'", str(config.nav)):
        files.append(File.generated(config, f"api/{name}.md", content=api(name)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Link `sk.metrics.nss` in a text to what the API reference says of it, if it does."""
    return MEMBER.sub(r'<autoref identifier="saliencykit.\1" optional>\g<0></autoref>', markdown)


class Prose(griffe.Extension):
    """Docstrings are texts: what stands in <angle brackets> is no HTML."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Write the < of its docstring so that it shows, but for code."""
        if obj.docstring:
            shown = re.sub(r"(`[^`]*`)|<", lambda m: m[1] or "&lt;", obj.docstring.value)
            obj.docstring.value = shown


def api(room: str) -> str:
    """Return the page of a room: what it gives, and what registers itself there by name."""
    said, folder = [f"::: saliencykit.{room}\n"], PACKAGE.joinpath(*room.split("."))
    registers = rf"@{REGISTRIES.get(room)}\.register\(.*\n(?:class|def) (\w+)"
    for path in sorted(folder.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for name in re.findall(registers, path.read_text("utf-8")):
            said.append(f"::: {module}.{name}\n{REGISTERED}")
    return "\n".join(said)


def galleries() -> Iterator[Path]:
    """Yield the files of the galleries; photographs that were drawn here stay here."""
    for path in REFERENCE.glob("*/*"):
        if not (path.suffix == ".png" and PHOTOGRAPHS in path.stem):
            yield path


def pages(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield the page of a notebook and the pictures it shows, by name."""
    notebook = nbformat.read(path, 4)
    shown = _executed(path, notebook) or _with_reference(path, notebook)
    for cell in shown.cells:
        cell.outputs = [output for output in cell.get("outputs", []) if _is_shown(output)]
        for data in (output.get("data", {}) for output in cell.outputs):
            if "text/html" in data:  # one block, in which nothing is taken for Markdown
                plain = data["text/html"].replace('<table border="1" class="dataframe">', "<table>")
                data["text/html"] = f"<div>\n{plain}\n</div>"
    names = {"unique_key": path.stem, "output_files_dir": path.stem}
    text, made = MarkdownExporter().from_notebook_node(shown, names)
    yield f"{path.stem}.md", text.replace("![png]", "![What the cell above draws]")
    yield from made["outputs"].items()


def _is_shown(output: NotebookNode) -> bool:
    """Whether an output is neither a widget, which wants a kernel, nor a warning."""
    return output.get("name") != "stderr" and WIDGET not in output.get("data", ())


def _executed(path: Path, notebook: NotebookNode) -> NotebookNode | None:
    """Return the copy of the last run, if it is of this notebook, with the profile's settings."""
    copy = cache_root() / "executed" / PROFILE / path.name
    if not copy.is_file():
        return None
    executed = nbformat.read(copy, 4)
    run = executed.metadata.papermill
    own = [c for c in executed.cells if "injected-parameters" not in c.metadata.get("tags", ())]
    same = [c.source for c in own] == [c.source for c in notebook.cells]
    if run.exception or not same or [run.parameters] != assign([path], read_profile(PROFILE)):
        return None
    when, made = run.start_time[:10], records.read_executed(copy)["versions"]
    return _noted(executed, f"Executed on {when}, profile `{PROFILE}`, {made}. {SLIDERS}")


def _with_reference(path: Path, notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with the reference's pictures and finding where it would show its own."""
    folder = REFERENCE / PROFILE
    record = records.read(folder / f"{path.stem}.json")
    if record is None:
        return _noted(notebook, f"Not executed here, and not drawn yet with profile `{PROFILE}`.")
    heading = said = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading, _, said = cell.source.partition("\n")
            continue
        stems = [stem for stem in records.figures(record) if f'"{stem}"' in cell.source]
        alt, place = heading.lstrip("# "), folder.relative_to(ROOT).as_posix()
        shown = [f"![{alt}](../{place}/{stem}.png)" for stem in stems]
        if "what_we_see(" in cell.source:
            shown.append(record["finding"].removeprefix(said.strip()))
        data = {"text/markdown": "\n\n".join(shown)}
        cell.outputs = [new_output("display_data", data)] if shown else []
    gallery = f"../figures/reference/{PROFILE}/index.html#{path.stem}"
    return _noted(
        notebook,
        f"Not executed here: pictures and what we see are [the reference's]({gallery}), profile "
        f"`{PROFILE}`, {record['versions']}. After `saliencykit figures {path.stem[:2]}` this page "
        f"shows all that the run did. {SLIDERS}",
    )


def _noted(notebook: NotebookNode, note: str) -> NotebookNode:
    notebook.cells[0].source += f'\n\n!!! note ""\n    {note}'
    return notebook
