"""Live events (server-sent events, as the HTML standard has them)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from dense.inspection.ledger import Entry
from dense.service.auth import CoreDep, Reader
from dense.service.core import Core
from dense.service.routers.shared import PROBLEMS, flat

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEMS)
_ENTRY = Annotated[int | None, Query(ge=0, le=1 << 53, description="Begin after this entry.")]


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events."}},
)
async def listen(
    core: CoreDep,
    _: Reader,
    after: _ENTRY = None,
    last_event_id: Annotated[str, Header(max_length=20)] = "",
) -> StreamingResponse:
    """Listen to decisions (`decision`), product changes (`product`) and feedback.

    Ids are numbers of log entries: a client that comes back with Last-Event-ID misses nothing.
    """
    begin = int(last_event_id) if last_event_id.isdecimal() else after
    core.events.join()
    return StreamingResponse(
        _streamed(core, begin),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _streamed(core: Core, begin: int | None) -> AsyncIterator[bytes]:
    try:
        async for part in core.events.stream(begin, show):
            yield part
    finally:
        core.events.leave()


def show(entry: Entry) -> dict[str, object]:
    """The data of an event."""
    body = dict(entry.content)
    if entry.kind != "decision":
        return {"name": entry.product, "seq": entry.seq, "actor": entry.actor, **body}
    decision: dict[str, object] = dict(body["decision"])  # type: ignore[call-overload]
    content = {
        **decision,
        "seq": entry.seq,
        "hash": entry.hash,
        "picture": body["picture"],
        "evidence": body["evidence"],
        "feedback": None,
    }
    return flat(content)
