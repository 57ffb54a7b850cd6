"""Products as signed files: sent out, taken in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Response, UploadFile

from dense.errors import InputError
from dense.inspection.archive import export_product, import_product
from dense.inspection.ledger import acting_as
from dense.service.auth import CoreDep, Engineer
from dense.service.models.products import ProductModel
from dense.service.routers.shared import PROBLEMS, ProductName, name_of, show_product

router = APIRouter(prefix="/api/v1/products", tags=["products"], responses=PROBLEMS)


@router.get(
    "/{name}/export",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
def export(name: ProductName, core: CoreDep, _: Engineer) -> Response:
    """Send the product as one signed file."""
    core.record(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "product.dense"
        export_product(core.registry, name, path)
        data = path.read_bytes()
    saved = f'attachment; filename="{name}.dense"'
    return Response(
        data, media_type="application/octet-stream", headers={"Content-Disposition": saved}
    )


@router.post("/import", status_code=201)
def take_in(
    core: CoreDep,
    who: Engineer,
    file: UploadFile,
    name: Annotated[str, Form(max_length=64)] = "",
) -> ProductModel:
    """Take in a product file that a trusted key signed."""
    with tempfile.TemporaryDirectory() as folder, acting_as(who.actor):
        path = Path(folder) / "product.dense"
        with path.open("wb") as stream:
            while block := file.file.read(1 << 20):
                stream.write(block)
        try:
            record = import_product(core.registry, path, name=name or None)
        except InputError as error:
            text = str(error).replace(str(path), name_of(file))
            raise type(error)(text) from error
    return show_product(core, record)
