"""Products: made, changed, looked at."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Form, Query, Response, UploadFile
from fastapi import Path as InPath

from dense.errors import InputError
from dense.inspection.ledger import acting_as
from dense.inspection.order import Order, Revision
from dense.inspection.product import check_name
from dense.inspection.view import View, read_view
from dense.inspection.workshop import Named
from dense.methods.catalog import find_method, methods
from dense.prompts import StateWords
from dense.service.auth import CoreDep, Engineer, Reader
from dense.service.core import Core
from dense.service.errors import LostError, TooLargeError
from dense.service.models.products import (
    AuditedModel,
    MethodModel,
    ProductItem,
    ProductModel,
    WordsRequest,
)
from dense.service.pictures import decode, scaled, suffix_of
from dense.service.routers.drawing import draw_regions
from dense.service.routers.shared import (
    PICTURES,
    PROBLEMS,
    ProductName,
    Words,
    check_words,
    lines,
    name_of,
    picture_answer,
    show_item,
    show_product,
)
from dense.structures import Size

router = APIRouter(prefix="/api/v1", tags=["products"], responses=PROBLEMS)
FIRST = "words-memory"
Regions = Annotated[str, Form(max_length=200_000, description="JSON, see docs/inspection.md")]


@router.get("/methods")
def list_methods(_: Reader) -> list[MethodModel]:
    """List methods that a product can have, the usual one first."""
    rows = [row for row in methods("inspect") if row.few_shot and not row.trained]
    rows.sort(key=lambda row: row.name != FIRST)
    return [MethodModel(name=row.name, text=row.title) for row in rows]


@router.get("/products")
def list_products(core: CoreDep, _: Reader) -> list[ProductItem]:
    """List products."""
    return [show_item(core, core.registry.get(name)) for name in core.registry.names()]


@router.post("/products", status_code=201)
def create(
    core: CoreDep,
    who: Engineer,
    name: Annotated[str, Form(max_length=64)],
    support: list[UploadFile],
    words: Annotated[str, Form(max_length=200)] = "",
    look_for: Words = "",
    ignore: Words = "",
    method: Annotated[str, Form(max_length=64)] = FIRST,
    mm_per_pixel: Annotated[float | None, Form(gt=0, allow_inf_nan=False)] = None,
    regions: Regions = "",
) -> ProductModel:
    """Make a product from good pictures; it has no threshold yet."""
    find_method(method, "inspect")
    core.registry.check_free(check_name(name))
    pictures = read_pictures(core, support)
    view = _view(regions, pictures[0][1].shape[:2])
    state_words = StateWords(lines(look_for), lines(ignore))
    order = Order(name, words.strip(), method, state_words, view, mm_per_pixel)
    with core.heavy(), acting_as(who.actor):
        record = core.workshop.create(order, pictures, version=core.ledger.last_version(name) + 1)
    return show_product(core, record)


@router.get("/products/{name}")
def show(name: ProductName, core: CoreDep, _: Reader) -> ProductModel:
    """Show a product with its versions."""
    return show_product(core, core.record(name))


@router.delete("/products/{name}", status_code=204)
def delete(name: ProductName, core: CoreDep, who: Engineer) -> None:
    """Forget a product; its decisions stay in the log."""
    core.record(name)
    core.forget(name, who.actor)


@router.post("/products/{name}/undo")
def undo(name: ProductName, core: CoreDep, who: Engineer) -> ProductModel:
    """Go back to the version before."""
    core.record(name)
    with acting_as(who.actor):
        return show_product(core, core.registry.undo(name))


@router.post("/products/{name}/words")
def change_words(
    name: ProductName, body: WordsRequest, core: CoreDep, who: Engineer
) -> ProductModel:
    """Change the words; the threshold is set anew, or is missing if that is not possible."""
    before = Order.of(core.record(name).product)
    known = before.state_words
    look_for = known.look_for if body.look_for is None else check_words(body.look_for)
    ignore = known.ignore if body.ignore is None else check_words(body.ignore)
    words = (body.words or before.words).strip()
    order = replace(before, words=words, state_words=StateWords(look_for, ignore))
    return _revise(core, who.actor, name, Revision("words changed", order))


@router.post("/products/{name}/regions")
def change_regions(
    name: ProductName, core: CoreDep, who: Engineer, regions: Regions = ""
) -> ProductModel:
    """Change where to look; without regions it is everywhere."""
    product = core.record(name).product
    before = Order.of(product)
    view = replace(_view(regions, product.support[0].size), tiling=before.view.tiling)
    return _revise(core, who.actor, name, Revision("regions changed", replace(before, view=view)))


@router.get("/products/{name}/regions.png", response_class=Response, responses=PICTURES)
def show_regions(name: ProductName, core: CoreDep, _: Reader) -> Response:
    """Draw the regions, and what is ignored, as an RGBA picture to lay over."""
    view = core.record(name).product.view
    if view.size is None or not (view.regions or view.ignore is not None):
        raise LostError(f"product {name!r} has no regions")
    answer = picture_answer(draw_regions(view))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.get("/products/{name}/audit")
def audit(name: ProductName, core: CoreDep, _: Reader) -> list[AuditedModel]:
    """Look for bad pictures among the good ones."""
    core.record(name)
    with core.heavy():
        audited = core.workshop.audit(name)
    shown = []
    for place, one in enumerate(audited):
        text = "; ".join(text for _, text in one.findings) or "fits the others"
        values = {**one.to_json(), "place": place, "ok": not one.findings, "text": text}
        shown.append(AuditedModel.model_validate(values))
    return shown


@router.get(
    "/products/{name}/support/{place}",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}}, "description": "A picture."}},
)
def support_picture(
    name: ProductName,
    place: Annotated[int, InPath(ge=0, le=100_000)],
    core: CoreDep,
    _: Reader,
    width: Annotated[int | None, Query(ge=16, le=4096)] = None,
) -> Response:
    """Show a support picture, smaller with `width`."""
    product = core.record(name).product
    if place >= len(product.support):
        raise LostError(f"product {name!r} has {len(product.support)} support pictures")
    data = scaled(core.workshop.fitting.picture(product.support[place]), width)
    answer = picture_answer(data)
    answer.headers["Cache-Control"] = "no-store"  # another version has others in its place
    return answer


def read_pictures(core: Core, uploads: list[UploadFile]) -> list[Named]:
    """Decode pictures that are needed together.

    Raises:
        TooLargeError: If they have too many pixels.
    """
    pictures: list[Named] = []
    pixels = 0
    for upload in uploads:
        name = name_of(upload)
        suffix = suffix_of(upload.content_type, upload.filename)
        image = decode(upload.file.read(), suffix, name, core.limits.pixels)
        pixels += image.shape[0] * image.shape[1]
        if pixels > core.limits.set_pixels:
            raise TooLargeError(
                f"the pictures have more than {core.limits.set_pixels / 1e6:g} megapixels together"
            )
        pictures.append((name, image))
    return pictures


def _revise(core: Core, actor: str, name: str, revision: Revision) -> ProductModel:
    """Make a product anew, its threshold from the parts that are kept."""
    good, defects = core.parts.beside(core.record(name).product)
    with core.heavy(), acting_as(actor):
        record = core.workshop.revise(name, revision, good=good, defects=defects)
    return show_product(core, record)


def _view(regions: str, size: Size) -> View:
    """Regions as JSON; masks in files beside it are not possible here."""
    if not regions.strip():
        return View()
    try:
        content = json.loads(regions)
    except (ValueError, RecursionError) as error:
        raise InputError(f"regions must be JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("regions", {}), dict):
        raise InputError('regions must be an object, e.g. {"regions": {"left": [[x, y], …]}}')
    ignored = content.get("ignore") or []
    if not isinstance(ignored, list):
        raise InputError("ignore must be a list of polygons")
    drawn = [*content.get("regions", {}).values(), *ignored]
    if any(isinstance(part, str) for part in drawn):
        raise InputError("regions must be polygons of corners [x, y]: files cannot be named here")
    with tempfile.TemporaryDirectory() as folder:
        path = File(folder) / "regions.json"
        path.write_text(json.dumps({"regions": content.get("regions", {}), "ignore": ignored}))
        try:
            return read_view(path, size)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "regions")) from error
