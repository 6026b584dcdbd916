"""Figures for papers: SVG, PDF, LaTeX, and a reader's own style."""

import re
import shutil
import subprocess

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import saliencykit as sk
from saliencykit import paths
from saliencykit.paths import PAPER, REFERENCE, STYLE, STYLE_SHEET
from saliencykit.registry import UnknownNameError
from saliencykit.viewing.files import write_figure
from saliencykit.viewing.latex import PAGE, latex
from saliencykit.viewing.pictures import gallery, poster
from saliencykit.viewing.style import use_style

TABLE = pd.DataFrame({"category": ["person_head"], "value": [1.0], "low": [0.9], "high": [1.1]})
LETTERS = "selectivity of “conv5_3”, ρ"


@pytest.fixture(autouse=True)
def styled(monkeypatch):
    monkeypatch.delenv(STYLE, raising=False)
    with mpl.rc_context():
        use_style()
        yield
    plt.close("all")


def drawn(size=(2, 1)):
    figure, axis = plt.subplots(figsize=size)
    axis.plot([0, 1], [0, 1])
    axis.set_xlabel(LETTERS)
    return figure


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_paper_gets_letters_and_no_date(tmp_path):
    write_figure(drawn(), tmp_path / "00_a.png", TABLE, paper=True)
    assert sorted(written(tmp_path)) == [
        f"00_a.{end}" for end in ("csv", "pdf", "png", "svg", "tex")
    ]
    svg, pdf = (written(tmp_path)[f"00_a.{end}"] for end in ("svg", "pdf"))
    assert f">{LETTERS}</text>" in svg.decode()
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf  # TrueType, of letters that can be sought and copied
    assert b"dc:date" not in svg
    assert b"CreationDate" not in pdf


def test_equal_figures_are_equal_bytes(tmp_path):
    for folder in ("a", "b"):
        write_figure(drawn(), tmp_path / folder / "00_a.png", TABLE, paper=True)
    assert written(tmp_path / "a") == written(tmp_path / "b")


def test_files_for_a_paper_never_tell_of_older_numbers(tmp_path):
    path = tmp_path / "00_a.png"
    write_figure(drawn(), path, TABLE)
    assert sorted(written(tmp_path)) == ["00_a.csv", "00_a.png"]  # unless they are asked for
    write_figure(drawn(), path, TABLE, paper=True)
    before = written(tmp_path)
    write_figure(drawn((3, 1)), path, TABLE.assign(value=2.0))
    assert not any(before[name] == content for name, content in written(tmp_path).items())


def test_photographs_stay_pictures_of_the_figure_s_size(tmp_path):
    photo = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    figures = {"sheet": gallery([[photo] * 3]), "poster": poster(photo)}
    for name, figure in figures.items():
        write_figure(figure, tmp_path / f"{name}.png", TABLE, paper=True)
        svg = (tmp_path / f"{name}.svg").read_text()
        assert "<image" in svg
        assert svg.count("<path") < 20
    width = float(re.search(r"<image[^>]* width=\"([\d.]+)\"", svg)[1])  # the poster fills its page
    page = float(re.search(r"<svg[^>]* width=\"([\d.]+)pt", svg)[1])
    assert width == pytest.approx(page, rel=0.02)
    with plt.rc_context(), plt.ioff():
        read = plt.imread(tmp_path / "poster.png")[..., :3]
    assert (np.round(255 * read) == photo).all()


def test_a_study_saves_for_a_paper_where_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    monkeypatch.delenv(paths.NOTEBOOK, raising=False)
    study = sk.Study.from_profile("smoke")
    study.save(drawn(), "00_a", TABLE)
    study.save(drawn(), "00_b", TABLE, paper=True)
    monkeypatch.setenv(PAPER, "1")
    study.save(drawn(), "00_c", TABLE)
    assert sorted(path.name for path in tmp_path.glob("smoke/*.pdf")) == ["00_b.pdf", "00_c.pdf"]


# LaTeX


def rows_of(text):
    """A tabular's rows, cells apart; fails where braces, dollars or columns do not fit together."""
    columns = len(re.search(r"\\begin{(?:tabular|longtable)}{(\w+)}", text)[1])
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum) ?", "", text)
    assert plain.count("{") - plain.count(r"\{") == plain.count("}") - plain.count(r"\}")
    lines = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    cells = [re.split(r"(?<!\\)&", line) for line in lines if "multicolumn" not in line]
    for line, row in zip(lines, cells, strict=False):
        assert len(row) == columns, line
        outside = re.sub(r"\$[^$]*\$", "", re.sub(r"\\[$#&_%{}]", "", line))
        assert not re.search(r"[$#%_^~]", outside), line
    return [[cell.strip() for cell in row] for row in cells]


def test_numbers_stand_with_their_intervals():
    table = pd.DataFrame(
        {
            "metric": ["nss", "nss", "auc"],
            "model": ["gbvs", "itti_koch", "gbvs"],
            "value": [1.234, -0.5, 0.81234],
            "low": [1.1, -0.61, 0.8111],
            "high": [1.35, -0.4, 0.8199],
            "sd_trainings": 0.1,
            "training 1": 1.0,
            "gain": [-1e-9, 0.25, np.nan],
            "gain_low": [-1.5, 0.1, np.nan],
            "gain_high": [1.5, 0.4, np.nan],
            "p": [2.5e-7, 0.04, 1.0],
            "images": [700, 700, 12],
        }
    )
    text = latex(table)
    assert text.startswith("% \\usepackage{booktabs}\n\\begin{tabular}{llrrrr}\n\\toprule\n")
    assert rows_of(text) == [
        ["metric", "model", "value", "gain", "p", "images"],
        ["NSS", "GBVS", "1.23 [1.10, 1.35]", "$-$0.0 [$-$1.5, 1.5]", r"2.5$\times 10^{-7}$", "700"],
        ["NSS", "Itti–Koch", "$-$0.50 [$-$0.61, $-$0.40]", "0.2 [0.1, 0.4]", "0.04", "700"],
        ["AUC", "GBVS", "0.8123 [0.8111, 0.8199]", "--", "1", "12"],
    ]


def test_texts_are_escaped():
    odd = r"50 % of A&B_c #1 {x} $5 ~ ^ \n"
    header, cells = rows_of(
        latex(pd.DataFrame({"a%_b": [odd], "layer": ["conv5_3"], "n": [np.nan]}))
    )
    assert header == [r"a\% b", "layer", "n"]
    assert cells[1:] == [r"conv5\_3", "--"]
    assert cells[0].startswith(r"50 \% of A\&B\_c \#1 \{x\} \$5 ")


def test_long_tables_go_on_over_pages():
    table = pd.DataFrame({"image": [f"{k}.jpg" for k in range(PAGE + 1)]})
    text = latex(table)
    assert "\\usepackage{booktabs,longtable}" in text
    assert len(rows_of(text)) == PAGE + 3  # the header comes again on later pages
    assert "longtable" not in latex(table[:PAGE])


@pytest.mark.parametrize("path", sorted(REFERENCE.glob("toy/*.csv")), ids=lambda path: path.stem)
def test_every_table_can_be_printed(path):
    table = pd.read_csv(path)
    text = latex(table)
    assert len(rows_of(text)) == len(table) + (2 if len(table) > PAGE else 1)
    assert not re.search(r"\bnan\b|training \d|not known", text)
    assert not {c for c in text if not c.isascii()} - set("–·’é")  # what LaTeX knows as it comes


def test_latex_takes_it(tmp_path):
    if not (command := shutil.which("pdflatex") or shutil.which("lualatex")):
        pytest.skip("there is no LaTeX")
    tables = [latex(pd.read_csv(path)) for path in sorted(REFERENCE.glob("toy/0[37]_*.csv"))]
    head = "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\n"
    (tmp_path / "all.tex").write_text(head + "\n\n".join(tables) + "\\end{document}")
    call = [command, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


# A reader's own style


def test_a_reader_s_style_lies_over_ours(tmp_path, monkeypatch):
    own = tmp_path / "mine.mplstyle"
    own.write_text("font.size: 8  # smaller\naxes.titleweight: normal\n", encoding="utf-8")
    use_style(own)
    assert mpl.rcParams["font.size"] == 8
    assert mpl.rcParams["axes.titleweight"] == "normal"
    assert mpl.rcParams["svg.fonttype"] == "none"
    use_style()
    assert mpl.rcParams["font.size"] == 10.5
    monkeypatch.setenv(STYLE, str(own))
    use_style()
    assert mpl.rcParams["font.size"] == 8


def test_no_style_is_read_from_the_current_folder(tmp_path, monkeypatch):
    for name in ("saliencykit.mplstyle", "mine.mplstyle"):
        (tmp_path / name).write_text("font.size: 33\n")
    monkeypatch.chdir(tmp_path)
    use_style()
    assert mpl.rcParams["font.size"] == 10.5


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"font.size: 9\nfont.sise: 8\n", UnknownNameError, r"line 2: 'font\.sise'.*'font\.size'"),
        (
            b"font.size: large letters\n",
            ValueError,
            r"mine\.mplstyle is no style sheet.*font\.size",
        ),
        (b"font.family: \xff\n", ValueError, "UTF-8"),
        (None, FileNotFoundError, r"mine\.mplstyle is not there"),
    ],
)
def test_what_is_wrong_with_a_style_is_told_and_nothing_changed(tmp_path, content, error, says):
    own = tmp_path / "mine.mplstyle"
    if content:
        own.write_bytes(content)
    before = dict(mpl.rcParams)
    with pytest.raises(error, match=says):
        use_style(own)
    assert dict(mpl.rcParams) == before


def test_letters_hang_on_one_size():
    sheet = STYLE_SHEET.read_text(encoding="utf-8")
    sizes = dict(re.findall(r"^(\S*(?:labelsize|titlesize|fontsize)): (\S+)$", sheet, re.M))
    assert len(sizes) == 8
    assert set(sizes.values()) <= {"small", "medium"}
    drawing = [*paths.PACKAGE.glob("viewing/*.py"), *paths.PACKAGE.glob("analyses/*/figures.py")]
    assert len(drawing) > 15
    assert not any(re.search(r"fontsize=[\d.]", path.read_text("utf-8")) for path in drawing)
