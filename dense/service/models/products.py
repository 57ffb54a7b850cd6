"""Products, their calibration and their pictures."""

from __future__ import annotations

from pydantic import Field

from dense.service.models.common import Asked, Model
from dense.service.models.decisions import GuaranteeModel


class ProductItem(Model):
    """A product in a list."""

    name: str
    version: int
    words: str
    look_for: list[str]
    ignore: list[str]
    method: str
    model: str
    mm_per_pixel: float | None
    calibrated: bool
    threshold: float | None = Field(description="The largest, if regions have their own.")
    guarantee: GuaranteeModel | None
    regions: list[str]
    has_ignored: bool
    support_count: int
    made_at: str
    last_decision_at: str | None


class VersionModel(Model):
    """A version of a product."""

    version: int
    parent: int | None
    made_at: str
    note: str


class SupportModel(Model):
    """A support picture."""

    name: str
    size: tuple[int, int] = Field(description="[height, width]")


class ProductModel(ProductItem):
    """A product."""

    product: dict[str, object] = Field(description="The record, but for masks.")
    versions: list[VersionModel]
    support: list[SupportModel]
    good_parts: int = Field(description="Good parts beside the support that are kept.")
    defect_parts: int


class WhatIf(Model):
    """What a threshold would have done; null where nothing is known."""

    threshold: float
    good_rejected: float | None
    defects_passed: float | None
    recent_rejected: float | None


class EscapeModel(Model):
    """Defective examples that pass, with the 95 % interval."""

    passed: int
    examples: int
    interval: tuple[float, float]


class CalibrationModel(Model):
    """The threshold of a product and what it rests on."""

    method: str | None
    alpha: float | None
    threshold: float | None
    thresholds: dict[str, float]
    guarantee: GuaranteeModel | None
    escape: EscapeModel | None
    parts: int
    scores_good: list[float]
    scores_defect: list[float]
    what_if: list[WhatIf]
    good_total: int
    defect_total: int
    recent_total: int


class ThresholdRequest(Asked):
    """Another threshold: by hand, or by the share of good parts that may be rejected."""

    threshold: float | None = None
    alpha: float | None = Field(default=None, gt=0, lt=1)


class WordsRequest(Asked):
    """Other words; what is left out stays."""

    words: str | None = Field(default=None, min_length=1, max_length=200)
    look_for: list[str] | None = Field(default=None, max_length=32)
    ignore: list[str] | None = Field(default=None, max_length=32)


class FindingModel(Model):
    """Something wrong with a support picture."""

    kind: str
    text: str


class AuditedModel(Model):
    """What an audit says of a support picture."""

    name: str
    place: int
    ok: bool
    text: str
    score: float
    deviation: float
    density: float
    findings: list[FindingModel]


class MethodModel(Model):
    """A method that a product can have."""

    name: str
    text: str
