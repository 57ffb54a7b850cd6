"""What routers share: bodies with pictures, answers with decisions and products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import Form, Path
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from dense.errors import InputError
from dense.inspection.calibration import guarantee
from dense.inspection.ledger import Logged
from dense.inspection.product import Product
from dense.inspection.sources.untrusted import printable_name
from dense.inspection.store.registry import Record
from dense.service.core import Core
from dense.service.models.common import Problem
from dense.service.models.decisions import DecisionModel
from dense.service.models.products import ProductItem, ProductModel
from dense.service.pictures import type_of

PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The body cannot be read.",
        401: "No key, or a wrong one.",
        403: "The role may not do this, or the CSRF token is missing.",
        404: "There is no such thing.",
        408: "The body did not come in time.",
        409: "It does not fit what there is by now.",
        413: "The body or the picture is too large.",
        415: "Not a kind of picture that is read.",
        422: "What was given cannot be used; the sentence says why.",
        429: "This key asks for too much at once.",
        503: "Busy, or being stopped.",
    }.items()
}
PICTURES: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {}}, "description": "A picture."}
}

ProductName = Annotated[
    str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name of a product.")
]
DecisionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Id of a decision.")]
Words = Annotated[str, Form(max_length=6600, description="One entry a line.")]


def lines(text: str) -> tuple[str, ...]:
    """Entries of a form field, one a line.

    Raises:
        InputError: If there are more than 32, or one has more than 200 letters.
    """
    return check_words(text.splitlines())


def check_words(words: Iterable[str]) -> tuple[str, ...]:
    """Entries without blank ones.

    Raises:
        InputError: If there are more than 32, or one has more than 200 letters.
    """
    entries = tuple(word.strip() for word in words if word.strip())
    if len(entries) > 32 or any(len(entry) > 200 for entry in entries):
        raise InputError("expected at most 32 entries of at most 200 letters each")
    return entries


def name_of(upload: UploadFile) -> str:
    """The last part of a file's name, printable."""
    last = (upload.filename or "").replace("\\", "/").rpartition("/")[2]
    return printable_name(last)[-200:] or "picture"


def show_decision(core: Core, logged: Logged) -> DecisionModel:
    """A decision with its place in the log, and those of its files that are still kept."""
    kept = {
        name: sha256 if sha256 is not None and sha256 in core.registry.pictures else None
        for name, sha256 in (("picture", logged.picture), ("evidence", logged.evidence))
    }
    return DecisionModel.model_validate(flat({**logged.to_json(), **kept}))


def flat(content: Mapping[str, object]) -> dict[str, object]:
    """Add the words that there are maps of: those that its defects carry."""
    defects = content["defects"]
    words: list[str] = []
    if content.get("evidence") and isinstance(defects, list) and defects:
        words = list(defects[0]["words"])
    return {**content, "words": words}


def show_item(core: Core, record: Record) -> ProductItem:
    """A product in a list."""
    return ProductItem.model_validate(_item_values(core, record))


def show_product(core: Core, record: Record) -> ProductModel:
    """A product with its versions."""
    product = record.product
    content = {key: value for key, value in product.to_json().items() if key != "view"}
    return ProductModel.model_validate(
        {
            **_item_values(core, record),
            "product": content,
            "versions": [
                {
                    "version": one.version,
                    "parent": one.parent,
                    "made_at": one.made_at,
                    "note": one.note,
                }
                for one in core.registry.history(product.name)
            ],
            "support": [{"name": one.name, "size": list(one.size)} for one in product.support],
            "good_parts": len(core.parts.list(product.name, "good")),
            "defect_parts": len(core.parts.list(product.name, "defect")),
        }
    )


def _item_values(core: Core, record: Record) -> dict[str, object]:
    """Plain values of `ProductItem`."""
    product, known = record.product, record.product.calibration
    promise = None if known is None else guarantee(known)
    return {
        "name": product.name,
        "version": record.version,
        "words": product.words,
        "look_for": list(product.state_words.look_for),
        "ignore": list(product.state_words.ignore),
        "method": product.method,
        "model": product.model,
        "mm_per_pixel": product.mm_per_pixel,
        "calibrated": known is not None,
        "threshold": largest_threshold(product),
        "guarantee": None if promise is None else promise.to_json(),
        "regions": [name for name in product.view.names if name],
        "has_ignored": product.view.ignore is not None,
        "support_count": len(product.support),
        "made_at": record.made_at,
        "last_decision_at": core.ledger.latest(product.name),
    }


def largest_threshold(product: Product) -> float | None:
    """Of the regions'; ``None`` before calibration."""
    known = product.calibration
    return None if known is None else max(known.thresholds.values())


def picture_answer(data: bytes) -> Response:
    """A picture, which never changes under its address."""
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(data, media_type=type_of(data), headers=headers)
