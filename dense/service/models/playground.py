"""Words on a picture."""

from __future__ import annotations

from pydantic import Field

from dense.service.models.common import Model


class LegendEntry(Model):
    """A word with its colour and the share of the picture that it has."""

    word: str
    color: str = Field(pattern="^#[0-9a-f]{6}$")
    share: float


class SegmentAnswer(Model):
    """A segmentation."""

    legend: list[LegendEntry]
    overlay: str = Field(description="PNG (RGBA, the picture's size) as a data URL.")
    size: tuple[int, int] = Field(description="[height, width]")


class FoundBox(Model):
    """An object; box xyxy in pixels."""

    box: tuple[float, float, float, float]
    word: str
    score: float
    color: str


class DetectAnswer(Model):
    """A detection."""

    legend: list[LegendEntry]
    boxes: list[FoundBox]
    size: tuple[int, int] = Field(description="[height, width]")
