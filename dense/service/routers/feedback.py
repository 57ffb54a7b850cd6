"""What people say of decisions, and what becomes of it."""

from __future__ import annotations

from fastapi import APIRouter

from dense.service.auth import CoreDep, Worker
from dense.service.errors import ForbiddenError
from dense.service.feedback import give, undo
from dense.service.keys import Right
from dense.service.models.decisions import DecisionModel, FeedbackRequest
from dense.service.routers.decisions import logged
from dense.service.routers.shared import PROBLEMS, DecisionId, show_decision

router = APIRouter(prefix="/api/v1/decisions", tags=["feedback"], responses=PROBLEMS)


@router.post("/{decision_id}/feedback")
def give_feedback(
    decision_id: DecisionId, body: FeedbackRequest, core: CoreDep, who: Worker
) -> DecisionModel:
    """Say whether a decision was right; this replaces what was said before."""
    if body.use == "memory" and not who.may(Right.change):
        raise ForbiddenError("only an engineer may add pictures to a product's memory")
    found = logged(core, decision_id)
    _may_undo(who.may(Right.change), found.feedback.use if found.feedback else None)
    give(core, found, body.kind, body.note, body.use, who.actor)
    return show_decision(core, logged(core, decision_id))


@router.delete("/{decision_id}/feedback")
def undo_feedback(decision_id: DecisionId, core: CoreDep, who: Worker) -> DecisionModel:
    """Take back what was said, and what it was used for."""
    found = logged(core, decision_id)
    _may_undo(who.may(Right.change), found.feedback.use if found.feedback else None)
    undo(core, found, who.actor)
    return show_decision(core, logged(core, decision_id))


def _may_undo(engineer: bool, use: str | None) -> None:
    if use == "memory" and not engineer:
        raise ForbiddenError("only an engineer may take pictures out of a product's memory")
