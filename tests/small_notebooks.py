"""Notebooks and profiles small enough to be written by a test."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def write_notebook(
    folder, stem, *cells, parameters="profile = 'toy'\nchanges = {}\nvalue = 1.0", title=""
):
    """A notebook: a title, a cell of parameters, and `cells`; those that are texts become code."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    others = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    notebook = new_notebook(cells=[new_markdown_cell(title or f"# {stem}"), first, *others])
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")
    return folder / f"{stem}.ipynb"


SAVE = """
from pathlib import Path
from IPython.display import display
import os
folder = Path(os.environ["SALIENCYKIT_FIGURES"]) / profile
part = folder / "{name}.part"
part.write_text(f"unit,value\\na,{{value}}\\n")
part.rename(folder / "{name}.csv")
(folder / "{name}.png").write_bytes(b"as if drawn")
about = {{"stem": "{name}", "size": [90, 60], "learned": False}}
display({{"application/vnd.saliencykit.figure+json": about, "text/plain": ""}}, raw=True)
"""
"""What `study.save` does, without waiting for torch: a table of one `value`; `{name}` is a stem."""


def write_profile(folder, name, text):
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    (folder / "profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")
