"""Odd and broken tables of fixations, with what is right for each."""

import unicodedata
import warnings
from typing import NamedTuple

import numpy as np

from saliencykit import datasets
from saliencykit.registry import UnknownNameError
from tests import miniature

NAMES = ("a", "b", "é")
REFUSALS = (ValueError, FileNotFoundError, UnknownNameError)
ODD = (
    *("plain", "ends", "first ends", "columns", "shuffled", "blank", "quoted", "dates", "accents"),
    *("suffixes", "lost", "missing"),  # to be right
    *("more", "less", "fractions", "some fractions", "milliseconds", "twins", "nobody", "word"),
    *("decimals", "latin", "unclosed"),  # to be refused, or to make no difference
)


class Table(NamedTuple):
    """A file's bytes; positions and observers' names that are in it, by image; what is odd in it.

    Nobody knows what is right where `right` is None: such a table is to be refused.
    """

    content: bytes
    right: dict[str, list[tuple[float, float, str]]] | None
    odd: str


def inputs(seed, folder):
    """Write three small images and return a table about them."""
    random = np.random.default_rng(seed)
    for name in NAMES:
        if not (folder / f"{name}.png").exists():
            miniature.write_image(folder / f"{name}.png", (60, 80))
    odd = str(random.choice(ODD))
    people = ("20240115", "20231224", "7") if odd == "dates" else ("ann", "bob", "Zoë")
    rows = [
        [random.choice(NAMES), random.uniform(2, 79), random.uniform(2, 59), random.choice(people)]
        for _ in range(random.integers(2, 30))
    ]
    right = {}
    for name, x, y, who in rows:
        right.setdefault(str(name), []).append((round(x, 3), round(y, 3), str(who)))
    text = [[str(n), f"{x:.3f}", f"{y:.3f}", str(who)] for n, x, y, who in rows]
    head, text, refused = _made_odd(odd, ["image", "x", "y", "observer"], text, random)
    delimiter = str(random.choice([",", ";", "\t"]))
    lines = [delimiter.join(_quoted(v, odd) for v in row) for row in (head, *text)]
    if odd == "blank":
        lines.insert(random.integers(1, len(lines) + 1), delimiter * random.integers(0, 6))
    if odd == "unclosed":
        lines[-1] = '"' + lines[-1]
    ends = str(random.choice(["\n", "\r\n"]))
    encoding = str(random.choice(["utf-8", "utf-8-sig", "utf-16"]))
    written = ends.join(lines) + ends * random.integers(0, 2)
    if odd == "latin":
        written, encoding = written.replace(text[0][3], "Jörg"), "latin-1"
        written = unicodedata.normalize("NFC", written)
    return Table(written.encode(encoding), None if refused else right, odd)


def _quoted(value, odd):
    return f'"{value}"' if odd == "quoted" else value


def _made_odd(odd, head, rows, random):
    """Head and rows with what is odd, and whether nothing is right then."""
    k, place = int(random.integers(len(rows))), int(random.integers(5))
    extra = str(random.choice(["", "7", "ann"]))
    if odd == "ends":
        rows = [[*r, ""] for r in rows]
    if odd == "first ends":
        rows[0] = [*rows[0], ""]
    if odd == "columns":
        head, rows = ["n", *head], [[str(i), *r] for i, r in enumerate(rows)]
    if odd == "shuffled":
        order = random.permutation(4)
        head, rows = ([of[i] for i in order] for of in (head, [*zip(*rows, strict=True)]))
        rows = [list(r) for r in zip(*rows, strict=True)]
    if odd == "accents":
        rows = [[unicodedata.normalize(random.choice(["NFC", "NFD"]), v) for v in r] for r in rows]
    if odd == "suffixes":
        rows = [[f"{n}.png", *r] for n, *r in rows]
    if odd in ("lost", "missing"):
        gone = ["0", "0"] if odd == "lost" else [random.choice(["", "nan", "."]), "5"]
        rows += [["a", *gone, "ann"]] * (2 + len(rows) // 50)
    if odd == "more":
        rows[k].insert(min(place, 4), extra)
        return head, rows, place < 4 or extra != ""
    if odd == "less":
        del rows[k][min(place, 3)]
    if "fractions" in odd:
        some = rows if odd == "fractions" else rows[: 1 + max(2, len(rows) // 4)]
        for row in some:
            row[1:3] = [f"{v:.3f}" for v in random.uniform(0.001, 0.999, 2)]
    if odd == "milliseconds":
        head, rows = [*head, "duration"], [[*r, str(random.integers(100, 900))] for r in rows]
    if odd == "twins":
        head, rows = [*head, random.choice(["x", "Y", "Observer"])], [[*r, "1"] for r in rows]
    if odd == "nobody":
        rows[k][3] = ""
    if odd == "word":
        rows[k][1] = "left"
    if odd == "decimals":
        rows = [[n, *(v.replace(".", ",") for v in xy), who] for n, *xy, who in rows]
    return head, rows, odd in ODD[ODD.index("less") :]


def judge(table, folder):
    """Read a table as a user's folder is read; return what became of it."""
    path = folder / "fixations.csv"
    path.write_bytes(table.content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is dropped is counted there, as it should be
        try:
            data = datasets.load("folder", folder)
            seen = {name: data[i].fixations for i, name in enumerate(data.names)}
        except REFUSALS as error:
            told = path.name in str(error) and len(str(error)) < 1000
            return ("refused" if table.right is None else "wrong") if told else "traceback"
        except Exception:
            return "traceback"
    if table.right is None:
        return "wrong"
    found, expected = sum(map(len, seen.values())), sum(map(len, table.right.values()))
    if found < expected:
        return "lost"
    people = {who for rows in table.right.values() for *_, who in rows}
    order = sorted(people, key=lambda who: int(who) if who.isdecimal() else who)
    right = {n: [(x, y, order.index(w)) for x, y, w in rows] for n, rows in table.right.items()}
    got = {n: _rows(f) for n, f in seen.items() if len(f)}
    return "right" if got == right or _but_for_nobody(table.odd, got, right) else "wrong"


def _rows(fixations):
    columns = fixations.x.tolist(), fixations.y.tolist(), fixations.observer.tolist()
    return list(zip(*columns, strict=True))


def _but_for_nobody(odd, got, right):
    """Whether all positions are right where people without any are counted among the others."""

    def places(of):
        return {name: [row[:2] for row in rows] for name, rows in of.items()}

    return odd in ("lost", "missing") and places(got) == places(right)


def trial(seed, folder):
    """Return what became of the table number `seed`."""
    return judge(inputs(seed, folder), folder)
