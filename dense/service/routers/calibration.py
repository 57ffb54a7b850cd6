"""Thresholds: set, moved, looked into."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, UploadFile

from dense.errors import InputError
from dense.inspection.ledger import acting_as
from dense.service.auth import CoreDep, Engineer, Reader
from dense.service.core import Core
from dense.service.models.products import CalibrationModel, ProductModel, ThresholdRequest
from dense.service.parts import Kind, Part
from dense.service.pictures import decode, suffix_of
from dense.service.routers.shared import PROBLEMS, ProductName, name_of, show_product
from dense.service.what_if import calibration_values

router = APIRouter(prefix="/api/v1/products/{name}", tags=["calibration"], responses=PROBLEMS)


@router.get("/calibration")
def show(name: ProductName, core: CoreDep, _: Reader) -> CalibrationModel:
    """Show the threshold, the scores it rests on, and what others would have done."""
    record = core.record(name)
    values = calibration_values(core.registry, core.ledger, record)
    return CalibrationModel.model_validate(values)


@router.post("/calibrate")
def calibrate(
    name: ProductName,
    core: CoreDep,
    who: Engineer,
    alpha: Annotated[float, Form(gt=0, lt=1)],
    folds: Annotated[int | None, Form(ge=2, le=1000)] = None,
    good: list[UploadFile] | None = None,
    defects: list[UploadFile] | None = None,
) -> ProductModel:
    """Set the threshold so that at most `alpha` of good parts are rejected.

    With `good` it is set on these parts, which the product was not made from, without on the
    support. They are kept for the next time, in place of those that were brought before.
    """
    core.record(name)
    new_good, new_defects = _keep(core, "good", good), _keep(core, "defect", defects)
    with core.heavy(), acting_as(who.actor):
        record = core.workshop.calibrate(
            name,
            alpha=alpha,
            folds=folds,
            good=core.parts.read(new_good) if new_good else None,
            defects=core.parts.read(new_defects) if new_defects else None,
        )
    for kind, parts in (("good", new_good), ("defect", new_defects)):
        if parts:
            core.parts.replace(name, kind, parts)  # type: ignore[arg-type]
    return show_product(core, record)


@router.post("/recalibrate")
def recalibrate(name: ProductName, core: CoreDep, who: Engineer) -> ProductModel:
    """Set the threshold anew for the same alpha, on all good parts that are kept.

    Those are the parts of the last calibration and what feedback has added since.
    """
    product = core.record(name).product
    known = product.calibration
    if known is None or known.alpha is None:
        raise InputError(
            f"product {name!r} has no threshold that promises a share of good parts: calibrate it"
        )
    good, defects = core.parts.beside(product)
    if good is None:
        raise InputError(
            "no good parts are kept beside the support: calibrate with good parts, or give "
            "feedback that is used for calibration"
        )
    with core.heavy(), acting_as(who.actor):
        record = core.workshop.calibrate(name, alpha=known.alpha, good=good, defects=defects)
    return show_product(core, record)


@router.post("/threshold")
def move(name: ProductName, body: ThresholdRequest, core: CoreDep, who: Engineer) -> ProductModel:
    """Move the threshold: by hand, or to another share on the scores that were measured."""
    core.record(name)
    with core.heavy(), acting_as(who.actor):
        record = core.workshop.calibrate(name, alpha=body.alpha, threshold=body.threshold)
    return show_product(core, record)


def _keep(core: Core, kind: Kind, uploads: list[UploadFile] | None) -> list[Part]:
    """Put files of parts where pictures are kept, each looked at first."""
    parts = []
    for upload in uploads or []:
        name, data = name_of(upload), upload.file.read()
        suffix = suffix_of(upload.content_type, upload.filename)
        decode(data, suffix, name, core.limits.pixels)
        parts.append(Part(kind, name, core.registry.pictures.put(data), suffix))
    return parts
