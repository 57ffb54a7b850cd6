"""Decisions, as `dense.inspection.decision` has them, with their place in the log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dense.service.models.common import Asked, Model

Verdict = Literal["pass", "reject", "refused"]
FeedbackKind = Literal["right", "false-alarm", "missed"]


class ReasonModel(Model):
    """Why a picture did not pass."""

    code: str
    text: str
    region: str


class DefectModel(Model):
    """One connected part of the defect mask; boxes xyxy in pixels of the picture."""

    box: tuple[int, int, int, int]
    area_px: int
    centre: tuple[float, float]
    peak: float
    area_mm2: float | None
    centre_mm: tuple[float, float] | None
    region: str
    words: dict[str, float]


class RegionModel(Model):
    """What is said of one region of interest."""

    name: str
    score: float
    threshold: float | None
    is_anomalous: bool | None


class GuaranteeModel(Model):
    """What a threshold promises about good parts."""

    alpha: float
    bound: float
    method: str
    parts: int
    text: str


class FeedbackModel(Model):
    """What somebody said of a decision."""

    kind: FeedbackKind
    note: str
    actor: str
    made_at: str
    use: str | None = Field(description="calibration, memory, or null")


class DecisionModel(Model):
    """A decision and its entry in the log."""

    id: str
    product: str
    version: int
    source: str
    content_sha256: str
    judged_at: str
    verdict: Verdict
    reasons: list[ReasonModel]
    score: float | None
    threshold: float | None
    defects: list[DefectModel]
    regions: list[RegionModel]
    guarantee: GuaranteeModel | None
    image_size: tuple[int, int] | None = Field(description="[height, width]")
    seconds: float
    distance: float | None = Field(
        default=None, description="Of the picture's feature to the nearest support picture."
    )
    seq: int = Field(description="Number of its entry in the log.")
    hash: str = Field(description="Hash of that entry.")
    picture: str | None = Field(description="SHA-256 of the picture's file; null if not kept.")
    evidence: str | None = Field(description="SHA-256 of the file with its maps; null if none.")
    words: list[str] = Field(description="Words that there are maps of.")
    feedback: FeedbackModel | None


class DecisionPage(Model):
    """Decisions, newest first; give `next` as `before` for the next page."""

    items: list[DecisionModel]
    next: int | None


class Accepted(Model):
    """A picture that is on disk and will be judged."""

    id: str = Field(description="Of the job and of the decision to come.")
    status_url: str


class JobModel(Model):
    """State of an accepted picture."""

    id: str
    product: str
    state: Literal["waiting", "done"]
    accepted_at: str
    decision: DecisionModel | None


class FeedbackRequest(Asked):
    """Feedback on a decision.

    `use` "calibration" keeps the picture as a good or defective part for the next recalibration,
    "memory" adds a good part's picture to the support at once.
    """

    kind: FeedbackKind
    note: str = Field(default="", max_length=1000)
    use: Literal["calibration", "memory"] | None = None
