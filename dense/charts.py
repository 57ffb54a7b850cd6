"""Small charts as values: lines, dots, bars and labels that a page (SVG) and a PDF draw alike.

Places are in points from the upper left corner. Colours are roles, so that a dark page differs
from white paper. Words come from outside: they are escaped where they are drawn.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["ink", "soft", "line", "accent", "good", "bad", "warn"]
Anchor = Literal["start", "middle", "end"]
LETTER = 11.0
"""Height of labels."""


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: Sequence[tuple[float, float]]
    role: Role = "ink"
    width: float = 1.5
    dashed: bool = False


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    role: Role = "accent"
    radius: float = 2.2


@dataclass(frozen=True)
class Bar:
    """A filled rectangle; (x, y) is its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    role: Role = "accent"
    opacity: float = 1.0


@dataclass(frozen=True)
class Label:
    """One line of text, its baseline at y."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    role: Role = "soft"


Mark = Line | Dot | Bar | Label


@dataclass(frozen=True)
class Chart:
    """What is drawn, and what it shows in words."""

    width: float
    height: float
    caption: str
    marks: tuple[Mark, ...]

    def svg(self) -> str:
        """As SVG inside a figure; colours are CSS variables named like the roles."""
        drawn = "".join(_svg(mark) for mark in self.marks)
        caption = html.escape(self.caption)
        return (
            f'<figure class="chart"><svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{caption}">{drawn}</svg><figcaption>{caption}</figcaption></figure>'
        )


@dataclass(frozen=True)
class Scale:
    """From values to places along one side of a chart.

    Attributes:
        low: Value at `start`.
        high: Value at `stop`.
        start: Place.
        stop: Place.
        log: Whether equal factors are equal distances.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; beyond the ends the nearest end."""
        low, high, value = (self._flat(v) for v in (self.low, self.high, value))
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.stop - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values between the ends."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            step = max(1, math.ceil((last - first) / wanted))
            powers = (10.0**power for power in range(first, last + 1, step))
            return [value for value in powers if self.low <= value <= self.high]
        if not self.high > self.low:
            return [self.low]
        rough = (self.high - self.low) / wanted
        unit = 10.0 ** math.floor(math.log10(rough))
        apart = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= rough * 0.999)
        first = math.ceil(self.low / apart - 1e-9)
        return [k * apart for k in range(first, math.floor(self.high / apart + 1e-9) + 1)]

    def _flat(self, value: float) -> float:
        return math.log(max(value, 1e-300)) if self.log else value


def frame(across: Scale, up: Scale, *, left: str = "", below: str = "") -> Iterator[Mark]:
    """Grid lines with their values, and what the sides mean."""
    for tick in up.ticks():
        place = up(tick)
        yield Line([(across.start, place), (across.stop, place)], "line", 0.7)
        yield Label(across.start - 6, place + LETTER / 3, f"{tick:.4g}", "end")
    for tick in across.ticks(8):
        place = across(tick)
        yield Line([(place, up.start), (place, up.start + 4)], "soft", 0.7)
        yield Label(place, up.start + 4 + LETTER, f"{tick:.6g}", "middle")
    yield Line([(across.start, up.start), (across.stop, up.start)], "soft", 0.9)
    if left:
        yield Label(across.start, up.stop - 8, left)
    if below:
        yield Label(across.stop, up.start + 2 * LETTER + 8, below, "end")


def legend(entries: Sequence[tuple[str, Role]], right: float, y: float) -> Iterator[Mark]:
    """Names of colours, the last one ending at `right`."""
    for text, role in reversed(entries):
        right -= len(text) * LETTER * 0.55
        yield Label(right, y, text)
        yield Bar(right - 14, y - 8, 10, 8, role)
        right -= 26


def _svg(mark: Mark) -> str:
    if isinstance(mark, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.points)
        dashes = ' stroke-dasharray="5 4"' if mark.dashed else ""
        return (
            f'<polyline points="{points}" fill="none" stroke="var(--{mark.role})" '
            f'stroke-width="{mark.width:g}" stroke-linejoin="round"{dashes}/>'
        )
    if isinstance(mark, Dot):
        return (
            f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius:g}" '
            f'fill="var(--{mark.role})"/>'
        )
    if isinstance(mark, Bar):
        return (
            f'<rect x="{mark.x:.1f}" y="{mark.y:.1f}" width="{mark.width:.1f}" '
            f'height="{mark.height:.1f}" fill="var(--{mark.role})" opacity="{mark.opacity:g}"/>'
        )
    return (
        f'<text x="{mark.x:.1f}" y="{mark.y:.1f}" text-anchor="{mark.anchor}" '
        f'font-size="{LETTER:g}" fill="var(--{mark.role})">{html.escape(mark.text)}</text>'
    )
