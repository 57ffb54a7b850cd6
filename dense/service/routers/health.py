"""Whether the service lives and is ready, and its numbers."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from dense.service import metrics
from dense.service.auth import CoreDep
from dense.service.errors import BusyError
from dense.service.models.common import Health, Problem

router = APIRouter(tags=["health"])
_BUSY: dict[int | str, dict[str, object]] = {503: {"model": Problem}}


@router.get("/health/live", responses=_BUSY)
def live(core: CoreDep) -> Health:
    """Answer as long as this worker should be kept."""
    if core.judging.broken:
        raise BusyError(core.judging.broken)
    return Health(status="live")


@router.get("/health/ready", responses=_BUSY)
def ready(core: CoreDep) -> Health:
    """Answer when pictures can be judged: models are loaded, and the database can be read."""
    if not core.warm.is_set():
        raise BusyError("the models are being loaded")
    waiting = core.intake.waiting()
    return Health(status="ready", detail=f"{waiting} pictures wait")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "The numbers."}},
)
def numbers() -> Response:
    """Numbers for Prometheus."""
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
