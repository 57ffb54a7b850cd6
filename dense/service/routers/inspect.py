"""Pictures in, decisions out."""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.datastructures import UploadFile

from dense.errors import InputError, UnknownNameError
from dense.inspection.sources.untrusted import printable_name
from dense.service.auth import CoreDep, Worker
from dense.service.core import Core
from dense.service.errors import LostError, UnsupportedError
from dense.service.formats import SUFFIXES
from dense.service.intake import Arrival, Job
from dense.service.keys import Who
from dense.service.models.decisions import Accepted, DecisionModel, JobModel
from dense.service.pictures import decode, suffix_of
from dense.service.routers.shared import PROBLEMS, DecisionId, ProductName, name_of, show_decision

router = APIRouter(prefix="/api/v1", tags=["inspect"], responses=PROBLEMS)
ELSEWHERE = 0.1
"""Seconds between looks for a decision that another worker makes."""
_BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **dict.fromkeys(SUFFIXES, _BINARY),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.post(
    "/products/{name}/inspect",
    response_model=DecisionModel,
    responses={202: {"model": Accepted, "description": "On disk; it will be judged."}},
    openapi_extra=PICTURE_BODY,
)
async def inspect(
    name: ProductName,
    request: Request,
    response: Response,
    core: CoreDep,
    who: Worker,
    wait: Annotated[bool, Query(description="Answer with the decision.")] = True,
    source: Annotated[
        str, Query(max_length=200, description="Where it came from, e.g. a part's number.")
    ] = "",
    idempotency_key: Annotated[
        str, Header(max_length=255, description="The same for a request that is sent again.")
    ] = "",
) -> DecisionModel | Response:
    """Judge a picture: the body, or the part `image` of a form.

    The picture is on disk before it is judged; whatever happens to this worker, it gets a
    decision. With `wait=false`, or if judging takes long, the answer is 202 with the job.
    """
    picture = await read_picture(request)
    job, answer = await take(
        core, name, picture, who, source=source, again=idempotency_key, wait=wait
    )
    if wait:
        decision = await decided(core, job, answer)
        if decision is not None:
            return decision
    url = f"/api/v1/jobs/{job.id}"
    accepted = Accepted(id=job.id, status_url=url)
    return Response(
        accepted.model_dump_json(),
        202,
        media_type="application/json",
        headers={"Location": url, "Retry-After": "1"},
    )


@router.get("/jobs/{job_id}")
def job(job_id: DecisionId, core: CoreDep, _: Worker) -> JobModel:
    """Say how far an accepted picture is."""
    found = core.intake.find(job_id)
    if found is None:
        raise LostError(f"no job {job_id}: finished ones are forgotten after a week")
    decision = find_decision(core, job_id) if found.state == "done" else None
    accepted = datetime.fromtimestamp(found.accepted, timezone.utc).isoformat()
    return JobModel(
        id=job_id,
        product=found.product,
        state="waiting" if decision is None else "done",
        accepted_at=accepted,
        decision=decision,
    )


async def decided(core: Core, job: Job, answer: Future[str] | None) -> DecisionModel | None:
    """The decision, as soon as it is in the log; ``None`` if that takes too long."""
    until = time.monotonic() + core.settings.wait_seconds
    if answer is not None:
        try:
            waited = asyncio.shield(asyncio.wrap_future(answer))
            await asyncio.wait_for(waited, core.settings.wait_seconds)
        except Exception:  # late or failed: the picture stays accepted, it will be judged
            return None
    while True:
        found = await anyio.to_thread.run_sync(find_decision, core, job.id)
        if found is not None or time.monotonic() > until or core.events.ending:
            return found
        await asyncio.sleep(ELSEWHERE)


def find_decision(core: Core, decision_id: str) -> DecisionModel | None:
    """A decision of the log, ``None`` if it is not there (yet)."""
    try:
        return show_decision(core, core.ledger.decision(decision_id))
    except UnknownNameError:
        return None


async def take(
    core: Core,
    product: str,
    picture: Sent,
    who: Who,
    *,
    version: int | None = None,
    source: str = "",
    again: str = "",
    wait: bool = True,
) -> tuple[Job, Future[str] | None]:
    """Check and keep a picture.

    A source that the client named makes the same picture the same decision; without one every
    request is a part of its own, unless its Idempotency-Key came before.
    """

    def keep() -> tuple[Job, Future[str] | None]:
        number = core.stamp(product, version)[0]
        image = decode(picture.data, picture.suffix, "the picture", core.limits.pixels)
        name = printable_name(source or picture.name)[:200]
        if not source:
            name = f"{name or 'upload'}#{secrets.token_hex(6)}"
        arrival = Arrival(product, number, name, picture.data, picture.suffix, who.actor, again)
        return core.judging.submit(arrival, image, wait=wait)

    return await anyio.to_thread.run_sync(keep)


@dataclass(frozen=True)
class Sent:
    """A picture as it was sent.

    Attributes:
        data: Its file.
        suffix: Of its format.
        name: Of its file, "" if it has none.
    """

    data: bytes
    suffix: str
    name: str = ""


async def read_picture(request: Request) -> Sent:
    """The picture of a request.

    Raises:
        HTTPError: If there is none, or of no kind that is read.
    """
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        suffix = suffix_of(kind, None)
        data = await request.body()
        if not data:
            raise InputError("the body is empty: expected the bytes of a picture")
        return Sent(data, suffix)
    async with request.form(max_files=1, max_fields=4) as form:
        upload = form.get("image")
        if not isinstance(upload, UploadFile):
            raise UnsupportedError("the form has no file: expected a picture in the part 'image'")
        suffix = suffix_of(upload.content_type, upload.filename)
        return Sent(await upload.read(), suffix, name_of(upload))
