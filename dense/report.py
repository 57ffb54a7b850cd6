"""A self-contained HTML page of pictures, scores and words: one file, no request to anywhere.

Class names, file names and all other words come from outside: everything is escaped.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dense.charts import Chart
from dense.errors import InputError
from dense.outputs import write_text

MAX_SIDE = 960
_TEMPLATE = Path(__file__).parent / "assets" / "report.html"


@dataclass(frozen=True)
class Figure:
    """A picture (H, W, 3) uint8 RGB with a caption."""

    image: NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True)
class Entry:
    """One card of the page.

    Attributes:
        title: Heading, e.g. the file name.
        figures: Pictures shown side by side.
        facts: (name, value) pairs, e.g. a score and a time.
        tags: Short words shown as pills, each with an RGB colour or ``None``.
        note: A sentence below.
    """

    title: str
    figures: Sequence[Figure] = ()
    facts: Sequence[tuple[str, str]] = ()
    tags: Sequence[tuple[str, tuple[int, int, int] | None]] = ()
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first column holds names, the others are set right-aligned.

    Attributes:
        header: Names of the columns.
        rows: As many cells each.
        words: Whether the cells are words rather than numbers: left-aligned, and they wrap.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False


@dataclass(frozen=True)
class Section:
    """A heading with a sentence, then what is given of facts, charts, a table and cards.

    Attributes:
        title: Heading.
        text: A sentence or more.
        entries: Cards.
        table: A table.
        facts: (name, value) pairs, long values wrap.
        charts: Drawn one below the other.
    """

    title: str
    text: str = ""
    entries: Sequence[Entry] = ()
    table: Table | None = None
    facts: Sequence[tuple[str, str]] = ()
    charts: Sequence[Chart] = ()


def render_report(
    title: str, sections: Sequence[Section], *, subtitle: str = "", footer: str = ""
) -> str:
    """Build the page as one HTML text."""
    if not sections:
        raise InputError("a report needs at least one section")
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(
        title=_escape(title),
        subtitle=_escape(subtitle),
        footer=_escape(footer),
        navigation="".join(_link(place, section) for place, section in enumerate(sections)),
        sections="\n".join(_section(place, section) for place, section in enumerate(sections)),
    )


def write_report(
    path: str | Path,
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    footer: str = "",
) -> Path:
    """Write the page, whole or not at all.

    Raises:
        InputError: If there is nothing to show or the place cannot be written.
    """
    return write_text(path, render_report(title, sections, subtitle=subtitle, footer=footer))


def data_uri(image: NDArray[np.uint8], *, quality: int = 82) -> str:
    """Turn a picture into a JPEG data address, see `to_jpeg`."""
    data = to_jpeg(image, quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def to_jpeg(image: NDArray[np.uint8], *, quality: int = 82) -> bytes:
    """Turn a picture into JPEG; pictures above `MAX_SIDE` are shrunk."""
    picture = Image.fromarray(image).convert("RGB")
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=quality, optimize=True, subsampling=0)
    return stream.getvalue()


def _escape(text: str) -> str:
    return html.escape(str(text), quote=True)


def _link(place: int, section: Section) -> str:
    return f'<a href="#s{place}">{_escape(section.title)}</a>'


def _section(place: int, section: Section) -> str:
    text = f"<p>{_escape(section.text)}</p>" if section.text else ""
    table = _table(section.table) if section.table is not None else ""
    cards = "\n".join(_card(entry) for entry in section.entries)
    facts = "".join(
        f'<tr><th scope="row">{_escape(name)}</th><td>{_escape(value)}</td></tr>'
        for name, value in section.facts
    )
    facts = f'<div class="scroll"><table class="facts">{facts}</table></div>' if facts else ""
    charts = "".join(chart.svg() for chart in section.charts)
    return (
        f'<section id="s{place}"><h2>{_escape(section.title)}</h2>{text}{facts}{charts}{table}'
        f'<div class="cards">{cards}</div></section>'
    )


def _card(entry: Entry) -> str:
    figures = "".join(_figure(figure) for figure in entry.figures)
    facts = "".join(
        f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>"
        for name, value in entry.facts
    )
    tags = "".join(_tag(word, colour) for word, colour in entry.tags)
    parts = [
        f"<h3>{_escape(entry.title)}</h3>",
        f'<div class="row n{min(len(entry.figures), 4)}">{figures}</div>' if figures else "",
        f'<ul class="tags">{tags}</ul>' if tags else "",
        f"<dl>{facts}</dl>" if facts else "",
        f'<p class="note">{_escape(entry.note)}</p>' if entry.note else "",
    ]
    return f"<article>{''.join(parts)}</article>"


def _figure(figure: Figure) -> str:
    height, width = figure.image.shape[:2]
    caption = _escape(figure.caption)
    return (
        f'<figure><img src="{data_uri(figure.image)}" alt="{caption}" width="{width}" '
        f'height="{height}" loading="lazy"><figcaption>{caption}</figcaption></figure>'
    )


def _tag(word: str, colour: tuple[int, int, int] | None) -> str:
    if colour is None:
        return f"<li>{_escape(word)}</li>"
    code = "".join(f"{int(value):02x}" for value in colour)
    return f'<li><i style="background:#{code}"></i>{_escape(word)}</li>'


def _table(table: Table) -> str:
    kind = ' class="words"' if table.words else ""
    head = "".join(f'<th scope="col">{_escape(cell)}</th>' for cell in table.header)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{_escape(cell)}</th>' if place == 0 else f"<td>{_escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )
