"""Sections of a report as a PDF, by reportlab; charts are drawn as vectors.

The text comes from outside: it is escaped, as reportlab reads markup in paragraphs, and letters
that no font here holds are written as their code points.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from html import escape

from dense.charts import Bar, Chart, Dot, Label, Line, Mark
from dense.errors import MissingDependencyError
from dense.fonts import bundled_font
from dense.report import Entry, Figure, Section, Table, to_jpeg

try:
    from reportlab.graphics.shapes import Circle, Drawing, PolyLine, Rect, String
    from reportlab.lib.colors import HexColor
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import (
        Flowable,
        Image,
        KeepTogether,
        Paragraph,
        SimpleDocTemplate,
        Spacer,
    )
    from reportlab.platypus import Table as Grid
except ModuleNotFoundError as error:
    raise MissingDependencyError(
        "a report as PDF needs reportlab: pip install 'dense-clip[service]'"
    ) from error

COLOURS = {
    "ink": "#171b22",
    "soft": "#5a6474",
    "line": "#dfe3e9",
    "accent": "#0b62a8",
    "good": "#1d8348",
    "bad": "#c0392b",
    "warn": "#b9770e",
}
MARGIN = 18 * mm
CELL = 7.5
"""Height of letters in tables."""
WIDTH = A4[0] - 2 * MARGIN - 12
"""Of the text: the page's frame keeps 6 points on each side."""


def render_pdf(title: str, sections: Sequence[Section], *, subtitle: str, footer: str) -> bytes:
    """The document; the same content gives the same bytes."""
    styles, stream = _styles(), io.BytesIO()
    story: list[Flowable] = [_text(title, styles["title"]), _text(subtitle, styles["soft"])]
    for section in sections:
        story += _section(section, styles)

    def decorate(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("Report", 7)
        canvas.setFillColor(HexColor(COLOURS["soft"]))
        canvas.drawString(MARGIN, 10 * mm, _readable(footer)[:150])
        canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"page {document.page}")

    SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=_readable(title),
        author="dense",
        invariant=1,
    ).build(story, onFirstPage=decorate, onLaterPages=decorate)
    return stream.getvalue()


@cache
def _styles() -> dict[str, ParagraphStyle]:
    regular = bundled_font("DejaVuSans.ttf")
    pdfmetrics.registerFont(TTFont("Report", regular))
    pdfmetrics.registerFont(TTFont("Report-Bold", regular.with_name("DejaVuSans-Bold.ttf")))
    body = ParagraphStyle(
        "body", fontName="Report", fontSize=8.2, leading=11.6, textColor=HexColor(COLOURS["ink"])
    )
    soft = HexColor(COLOURS["soft"])
    return {
        "body": body,
        "title": ParagraphStyle("t", body, fontName="Report-Bold", fontSize=20, leading=27),
        "head": ParagraphStyle(
            "h", body, fontName="Report-Bold", fontSize=12.5, leading=16, spaceBefore=14
        ),
        "soft": ParagraphStyle("s", body, textColor=soft, spaceAfter=4),
        "name": ParagraphStyle("n", body, textColor=soft),
        "cell": ParagraphStyle("c", body, fontSize=CELL, leading=10.5),
        "column": ParagraphStyle("k", body, fontSize=CELL, leading=10.5, textColor=soft),
        "small": ParagraphStyle("m", body, fontSize=7, leading=9.5, textColor=soft),
    }


def _section(section: Section, styles: dict[str, ParagraphStyle]) -> list[Flowable]:
    first: list[Flowable] = [_text(section.title, styles["head"]), Spacer(1, 3)]
    if section.text:
        first.append(_text(section.text, styles["soft"]))
    rest: list[Flowable] = []
    if section.facts:
        rest.append(_facts(section.facts, styles))
    for chart in section.charts:
        caption = _text(chart.caption, styles["small"])
        rest.append(KeepTogether([Spacer(1, 6), _drawing(chart), caption]))
    if section.table is not None and section.table.rows:
        rest += [Spacer(1, 6), _table(section.table, styles)]
    for entry in section.entries:
        rest += [Spacer(1, 6), *_entry(entry, styles)]
    lead = rest[:1] if section.charts or not section.facts or len(section.facts) < 12 else []
    return [KeepTogether([*first, *lead]), *rest[len(lead) :]]


def _facts(facts: Sequence[tuple[str, str]], styles: dict[str, ParagraphStyle]) -> Grid:
    rows = [[_text(name, styles["name"]), _text(value, styles["body"])] for name, value in facts]
    return Grid(rows, colWidths=[0.24 * WIDTH, 0.76 * WIDTH], style=_lines(0), hAlign="LEFT")


def _table(table: Table, styles: dict[str, ParagraphStyle]) -> Grid:
    rows = [[_text(cell, styles["column"]) for cell in table.header]]
    rows += [[_text(cell, styles["cell"]) for cell in row] for row in table.rows]
    return Grid(rows, colWidths=_widths(table), repeatRows=1, style=_lines(1), hAlign="LEFT")


def _widths(table: Table) -> list[float]:
    """As wide as the longest cell; if that is too much, the widest give way first."""
    rows = [table.header, *table.rows]
    wanted = [
        max(pdfmetrics.stringWidth(_readable(row[place]), "Report", CELL) for row in rows) + 13
        for place in range(len(table.header))
    ]
    if sum(wanted) <= WIDTH:
        return [*wanted[:-1], WIDTH - sum(wanted[:-1])]
    low, high = 0.0, max(wanted)
    for _ in range(40):
        middle = (low + high) / 2
        fits = sum(min(width, middle) for width in wanted) <= WIDTH
        low, high = (middle, high) if fits else (low, middle)
    return [min(width, low) for width in wanted]


def _lines(start: int) -> list[tuple[object, ...]]:
    colour = HexColor(COLOURS["line"])
    return [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, colour),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, start), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
    ]


def _entry(entry: Entry, styles: dict[str, ParagraphStyle]) -> list[Flowable]:
    pictures = [_picture(figure, styles) for figure in entry.figures]
    if not pictures:
        return []
    cells = pictures + [""] * (4 - len(pictures))
    top = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    return [Grid([cells], colWidths=[WIDTH / 4] * len(cells), style=top, hAlign="LEFT")]


def _picture(figure: Figure, styles: dict[str, ParagraphStyle]) -> list[Flowable]:
    height, width = figure.image.shape[:2]
    room = WIDTH / 4 - 12
    scale = min(room / width, room / height)
    data = io.BytesIO(to_jpeg(figure.image))
    return [Image(data, width * scale, height * scale), _text(figure.caption, styles["small"])]


def _drawing(chart: Chart) -> Drawing:
    scale = WIDTH / chart.width
    drawing = Drawing(WIDTH, chart.height * scale)
    drawing.scale(scale, scale)
    for mark in chart.marks:
        drawing.add(_shape(mark, chart.height))
    return drawing


def _shape(mark: Mark, height: float) -> object:
    colour = HexColor(COLOURS[mark.role])
    if isinstance(mark, Line):
        points = [value for x, y in mark.points for value in (x, height - y)]
        dashes = [5, 4] if mark.dashed else None
        return PolyLine(points, strokeColor=colour, strokeWidth=mark.width, strokeDashArray=dashes)
    if isinstance(mark, Dot):
        return Circle(mark.x, height - mark.y, mark.radius, fillColor=colour, strokeColor=None)
    if isinstance(mark, Bar):
        bottom = height - mark.y - mark.height
        return Rect(
            mark.x,
            bottom,
            mark.width,
            mark.height,
            fillColor=colour,
            fillOpacity=mark.opacity,
            strokeColor=None,
        )
    return _string(mark, height)


def _string(mark: Label, height: float) -> String:
    return String(
        mark.x,
        height - mark.y,
        _readable(mark.text),
        fontName="Report",
        fontSize=11,
        textAnchor=mark.anchor,
        fillColor=HexColor(COLOURS[mark.role]),
    )


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_readable(text)), style)


def _readable(text: str) -> str:
    """The text with letters that the font lacks as ‹U+4E2D›."""
    _styles()
    held = pdfmetrics.getFont("Report").face.charToGlyph
    return "".join(
        letter if ord(letter) in held or letter == " " else f"‹U+{ord(letter):04X}›"
        for letter in " ".join(str(text).split())
    )
