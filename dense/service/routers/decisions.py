"""Decisions that were made, with their pictures and maps."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath

from dense.errors import UnknownNameError
from dense.images import decode_image
from dense.inspection.ledger import Logged
from dense.service.auth import CoreDep, Reader
from dense.service.core import Core
from dense.service.errors import LostError
from dense.service.evidence import Kept, decode_evidence, draw_heat, draw_mask
from dense.service.models.decisions import DecisionModel, DecisionPage, Verdict
from dense.service.pictures import scaled, type_of
from dense.service.routers.shared import (
    PICTURES,
    PROBLEMS,
    DecisionId,
    picture_answer,
    show_decision,
)

router = APIRouter(prefix="/api/v1/decisions", tags=["decisions"], responses=PROBLEMS)
Said = Literal["right", "false-alarm", "missed", "any", "none"]
_SHOWN = ("image/png", "image/jpeg", "image/webp", "image/bmp")
"""What browsers show; other kinds are sent as PNG."""


@router.get("")
def list_decisions(
    core: CoreDep,
    _: Reader,
    product: Annotated[str | None, Query(max_length=64)] = None,
    verdict: Verdict | None = None,
    feedback: Said | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: Annotated[str | None, Query(max_length=200)] = None,
    source: Annotated[str | None, Query(max_length=200)] = None,
    before: Annotated[int | None, Query(ge=0, le=1 << 53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> DecisionPage:
    """List decisions, newest first."""
    found = core.ledger.decisions(
        product=_plain(product),
        verdict=verdict,
        feedback=feedback,
        since=None if since is None else since.isoformat(),
        until=None if until is None else until.isoformat(),
        text=_plain(text),
        source=_plain(source),
        before=before,
        limit=limit,
    )
    following = found[-1].seq if len(found) == limit else None
    return DecisionPage(items=[show_decision(core, one) for one in found], next=following)


@router.get("/{decision_id}")
def show(decision_id: DecisionId, core: CoreDep, _: Reader) -> DecisionModel:
    """Show a decision."""
    return show_decision(core, logged(core, decision_id))


@router.get(
    "/{decision_id}/picture",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in _SHOWN}, "description": "The picture."}},
)
def picture(
    decision_id: DecisionId,
    core: CoreDep,
    _: Reader,
    width: Annotated[int | None, Query(ge=16, le=4096)] = None,
) -> Response:
    """Show the picture as it came, or with its longer side at most `width`."""
    data = core.file(logged(core, decision_id).picture, "picture")
    if width is None and type_of(data) in _SHOWN:
        return picture_answer(data)
    image = decode_image(data, "the picture", max_pixels=core.limits.pixels)
    return picture_answer(scaled(image, width))


@router.get("/{decision_id}/map.png", response_class=Response, responses=PICTURES)
def heat(decision_id: DecisionId, core: CoreDep, _: Reader) -> Response:
    """Draw the anomaly map as an RGBA picture to lay over."""
    kept = _maps(core, decision_id)
    return picture_answer(draw_heat(kept.heat, kept.size))


@router.get("/{decision_id}/mask.png", response_class=Response, responses=PICTURES)
def mask(decision_id: DecisionId, core: CoreDep, _: Reader) -> Response:
    """Draw the mask of the defects, white on black."""
    kept = _maps(core, decision_id)
    if kept.mask is None:
        raise LostError("this decision has no mask: the product had no threshold")
    return picture_answer(draw_mask(kept.mask))


@router.get("/{decision_id}/word/{word}.png", response_class=Response, responses=PICTURES)
def word_map(
    decision_id: DecisionId,
    word: Annotated[str, InPath(max_length=200)],
    core: CoreDep,
    _: Reader,
) -> Response:
    """Draw where a word is seen, as an RGBA picture to lay over."""
    kept = _maps(core, decision_id)
    if word not in kept.words:
        known = ", ".join(kept.words) or "none"
        raise LostError(f"this decision has no map of that word, but of: {known}")
    return picture_answer(draw_heat(kept.words[word], kept.size))


def logged(core: Core, decision_id: str) -> Logged:
    """A decision of the log.

    Raises:
        LostError: If there is none.
    """
    try:
        return core.ledger.decision(decision_id)
    except UnknownNameError as error:
        raise LostError(str(error)) from error


def _maps(core: Core, decision_id: str) -> Kept:
    return decode_evidence(core.file(logged(core, decision_id).evidence, "maps"))


def _plain(text: str | None) -> str | None:
    """Without the one letter that databases refuse."""
    return None if text is None else text.replace("\x00", "")
