"""The log, and what is made of it: verification, drift, the report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from dense.service.auth import Auditor, CoreDep, Reader
from dense.service.middleware.headers import DOCUMENT_POLICY
from dense.service.models.log import EntryModel, LogPage, VerifiedModel
from dense.service.routers.shared import PROBLEMS, ProductName

router = APIRouter(prefix="/api/v1", tags=["log"], responses=PROBLEMS)
_OBJECT: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}}
}


@router.get("/log")
def entries(
    core: CoreDep,
    _: Auditor,
    after: Annotated[int, Query(ge=0, le=1 << 53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> LogPage:
    """List entries of the log, oldest first."""
    found = core.ledger.entries(after=after, limit=limit)
    items = [EntryModel.model_validate(entry.to_json()) for entry in found]
    following = found[-1].seq if len(found) == limit else None
    return LogPage(items=items, next=following, head=core.ledger.head().seq or 0)


@router.get("/log/verify")
def verify(core: CoreDep, _: Auditor) -> VerifiedModel:
    """Read the whole log and say whether, and where, it is broken."""
    with core.heavy():
        return VerifiedModel.model_validate(core.ledger.verify().to_json())


@router.get("/products/{name}/drift", responses=_OBJECT)
def drift(name: ProductName, core: CoreDep, _: Reader) -> dict[str, object]:
    """Compare the last decisions with the calibration, and advise."""
    record = core.record(name)
    from dense.inspection.drift import drift_report

    return drift_report(record, core.ledger).to_json()


@router.get(
    "/products/{name}/report.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}, "description": "The report."}},
)
def report_html(name: ProductName, core: CoreDep, _: Auditor) -> HTMLResponse:
    """Make the audit report as one page that carries everything in itself."""
    core.record(name)
    from dense.inspection.audit_report import audit_report

    with core.heavy():
        page = audit_report(core.registry, name)
    policy = {"Content-Security-Policy": DOCUMENT_POLICY}
    return HTMLResponse(page.html, headers=policy)


@router.get(
    "/products/{name}/report.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}, "description": "The report."}},
)
def report_pdf(name: ProductName, core: CoreDep, _: Auditor) -> Response:
    """Make the audit report as a PDF."""
    core.record(name)
    from dense.inspection.audit_report import audit_report

    with core.heavy():
        data = audit_report(core.registry, name).pdf
    saved = f'inline; filename="{name}-report.pdf"'
    return Response(data, media_type="application/pdf", headers={"Content-Disposition": saved})
