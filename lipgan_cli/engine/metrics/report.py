"""What a score is told with: tables, one page of HTML with all its pictures in it, and CSV.

A `Table` is drawn in the page as it is printed on the terminal.
"""

from __future__ import annotations

import base64
import csv
import html
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lipgan_cli.engine.metrics.table import Cell, Table, check_lengths
from lipgan_cli.engine.paths import atomic_path

Picture = NDArray[np.uint8]

JPEG_QUALITY = 90
ROW = 1152
"""Pixels of a row of pictures: larger ones are made smaller, one alone to this and three to 384."""

_LEAST = 192  # pixels that a picture keeps, however many there are in a row
_SHOWN = 192  # pixels of the page that small pictures are enlarged to
_ENLARGED = 5  # pictures in a row that are enlarged: more would not stand side by side
_GUARDED = tuple("=+-@\t\r\n＝＋－＠'")  # a spreadsheet may take the start for a formula's
_ALLOWED = "\n\u200c\u200d"  # the two joiners are part of how names are spelt
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"""


@dataclass(frozen=True, eq=False)
class Sample:
    """Pictures side by side, uint8 RGB (H, W, 3) of any sizes, each with its label."""

    caption: str
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.pictures) != len(self.labels):
            raise ValueError(f"{len(self.pictures)} pictures have {len(self.labels)} labels")
        for picture in self.pictures:
            if picture.dtype != np.uint8 or picture.shape[2:] != (3,):
                raise ValueError(f"{picture.dtype} {picture.shape} is no RGB picture")


@dataclass(frozen=True)
class Plot:
    """A drawing as the text of an SVG, and what it shows in words."""

    svg: str
    description: str


@dataclass(frozen=True)
class Section:
    """A part of a report; its paragraphs are parted by empty lines."""

    heading: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Report:
    """A score as a page; `facts` say how it came about: versions, SHA-256 of files, date.

    A fact may have several lines.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()


def to_html(report: Report) -> str:
    """Return the report as one page that needs no other file, no network and no scripts."""
    return "".join(f"{line}\n" for line in _page(report))


def write_report(path: Path, report: Report, force: bool = True) -> None:
    """Write the report as a page, whole or not at all.

    Raises:
        InputError: `path` exists and `force` is false, or its folder cannot be written.
        LipganError: it cannot be written.
    """
    page = to_html(report)
    with atomic_path(path, force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], force: bool = True
) -> None:
    """Write rows as CSV (RFC 4180) in UTF-8, whole or not at all, a row at a time.

    Numbers have all their digits; infinite ones are `inf` and `-inf`, undefined ones `nan`, and
    None is empty. A spreadsheet would run a text that begins like a formula (=, +, -, @, a tab or
    a new line), and whoever made a file chose its name: such a text has an apostrophe before it,
    and so has one that begins with an apostrophe. Taking away one apostrophe where there is one
    gives every text back.

    Raises:
        InputError: `path` exists and `force` is false, or its folder cannot be written.
        LipganError: it cannot be written.
    """
    with (
        atomic_path(path, force) as temporary,
        # A file's name may hold bytes that are no text: they are written as \udcff.
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([_field(name) for name in header])
        for row in rows:
            check_lengths(header, [row])
            writer.writerow([_field(cell) for cell in row])


def visible(text: str) -> str:
    """Return `text` with what cannot be seen, or turns its neighbours round, as \\u escapes."""
    return "".join(
        c
        if c.isprintable() or c in _ALLOWED or unicodedata.category(c) == "Zs"
        else c.encode("unicode_escape").decode()
        for c in text
    )


def _page(report: Report) -> Iterator[str]:
    style = (files("lipgan_cli") / "assets" / "report.css").read_text(encoding="utf-8")
    title = _text(report.title)
    yield f"{_HEAD}<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<header>"
    yield f"<h1>{title}</h1>"
    if report.facts:
        yield '<dl class="facts">'
        for name, value in report.facts.items():
            yield f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>"
        yield "</dl>"
    if len(report.sections) > 1:
        yield "<nav><ul>"
        for number, section in enumerate(report.sections, 1):
            yield f'<li><a href="#section-{number}">{_text(section.heading)}</a></li>'
        yield "</ul></nav>"
    yield "</header>\n<main>"
    for number, section in enumerate(report.sections, 1):
        yield f'<section id="section-{number}">\n<h2>{_text(section.heading)}</h2>'
        yield from _section(section)
        yield "</section>"
    yield "</main>\n</body>\n</html>"


def _section(section: Section) -> Iterator[str]:
    for paragraph in section.text.split("\n\n"):
        if paragraph.strip():
            yield f"<p>{_text(paragraph.strip())}</p>"
    for table in section.tables:
        yield from _table(table)
    if section.plots:
        yield '<div class="plots">'
        for plot in section.plots:
            source, words = _data("image/svg+xml", plot.svg.encode()), _text(plot.description)
            yield f'<figure class="plot"><img src="{source}" alt="{words}"></figure>'
        yield "</div>"
    if section.samples:
        yield '<div class="samples">'
        for sample in section.samples:
            yield from _sample(sample)
        yield "</div>"


def _table(table: Table) -> Iterator[str]:
    numeric = table.numeric()
    kinds = [' class="number"' if number else "" for number in numeric]
    # A table wider than the screen is scrolled inside its frame, by keys too.
    name = _text(table.title or "table")
    yield f'<div class="table" role="region" aria-label="{name}" tabindex="0">\n<table>'
    if table.title:
        yield f"<caption>{_text(table.title)}</caption>"
    columns = zip(kinds, table.columns, strict=True)
    heads = [f'<th scope="col"{kind}>{_text(column)}</th>' for kind, column in columns]
    yield f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>"
    for row in table.texts():
        cells = [f"<td{kind}>{_text(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)]
        if row and not numeric[0]:
            cells[0] = f'<th scope="row">{_text(row[0])}</th>'
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>\n</table>"
    if table.note:
        yield f'<p class="note">{_text(table.note)}</p>'
    yield "</div>"


def _sample(sample: Sample) -> Iterator[str]:
    count = len(sample.pictures)
    kind = "one" if count < 2 else "few" if count <= 3 else "many"
    largest = max(_LEAST, ROW // max(count, 1))
    shown = _SHOWN if count <= _ENLARGED else 0
    yield f'<figure class="sample {kind}">\n<figcaption>{_text(sample.caption)}</figcaption>'
    yield '<div class="row">'
    for picture, label in zip(sample.pictures, sample.labels, strict=True):
        coded, width, height = _jpeg(picture, largest, shown)
        alternative = ": ".join(filter(None, (sample.caption, label)))
        named = f"<figcaption>{_text(label)}</figcaption>" if label else ""
        yield (
            f'<figure><img src="{_data("image/jpeg", coded)}" width="{width}" height="{height}" '
            f'alt="{_text(alternative)}">{named}</figure>'
        )
    yield "</div>\n</figure>"


def _jpeg(picture: Picture, largest: int, shown: int) -> tuple[bytes, int, int]:
    """Return a picture as JPEG of at most `largest` pixels a side, and its size on the page.

    A smaller one than `shown` is enlarged there in whole steps up to it.
    """
    image = Image.fromarray(picture)
    image.thumbnail((largest, largest))
    coded = BytesIO()
    image.save(coded, "JPEG", quality=JPEG_QUALITY, optimize=True)
    scale = max(1, shown // max(image.size))
    return coded.getvalue(), image.width * scale, image.height * scale


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _text(text: str) -> str:
    return html.escape(visible(text))


def _field(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_GUARDED) else cell
    return str(int(cell)) if isinstance(cell, (int, np.integer)) else repr(float(cell))
