"""Good and defective parts that a product's threshold was and will be set on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, insert, select

from dense.inspection.fitting import pixel_digest
from dense.inspection.product import Product
from dense.inspection.sources.untrusted import decode_untrusted
from dense.inspection.store.blobs import Blobs
from dense.inspection.store.database import Database
from dense.inspection.workshop import Named
from dense.service.tables import kept_parts

Kind = Literal["good", "defect"]


@dataclass(frozen=True)
class Part:
    """A picture of a part whose state is known.

    Attributes:
        kind: Its state.
        name: For people.
        sha256: Of its file.
        suffix: Of its format.
        decision_id: Of the feedback that it came from, ``None`` if it was brought.
    """

    kind: Kind
    name: str
    sha256: str
    suffix: str
    decision_id: str | None = None


class Parts:
    """The table and the files.

    Args:
        database: Of the registry.
        pictures: Where the files are.
        pixels: Of the largest picture.
    """

    def __init__(self, database: Database, pictures: Blobs, *, pixels: int) -> None:
        self.database, self.pictures, self.pixels = database, pictures, pixels

    def add(self, product: str, part: Part) -> None:
        """Keep a part; one that is there already changes nothing."""
        same = (
            (kept_parts.c.product == product)
            & (kept_parts.c.kind == part.kind)
            & (kept_parts.c.sha256 == part.sha256)
        )
        with self.database.write() as connection:
            if connection.execute(select(kept_parts.c.id).where(same)).first() is None:
                connection.execute(insert(kept_parts).values(_row(product, part)))

    def replace(self, product: str, kind: Kind, parts: Sequence[Part]) -> None:
        """Set the parts that were brought; those of feedback stay."""
        brought = (kept_parts.c.product == product) & (kept_parts.c.kind == kind)
        unique = {part.sha256: part for part in parts}
        with self.database.write() as connection:
            connection.execute(
                delete(kept_parts).where(brought, kept_parts.c.decision_id.is_(None))
            )
            there = connection.execute(select(kept_parts.c.sha256).where(brought)).scalars()
            for sha256 in unique.keys() - set(there):
                connection.execute(insert(kept_parts).values(_row(product, unique[sha256])))

    def list(self, product: str, kind: Kind) -> list[Part]:
        """Parts in the order in which they came."""
        wanted = (
            select(kept_parts)
            .where(kept_parts.c.product == product, kept_parts.c.kind == kind)
            .order_by("id")
        )
        with self.database.read() as connection:
            rows = connection.execute(wanted).all()
        return [Part(kind, row.name, row.sha256, row.suffix, row.decision_id) for row in rows]

    def drop(self, *, decision_id: str | None = None, product: str | None = None) -> None:
        """Forget the part of a decision, or all of a product."""
        which = (
            kept_parts.c.product == product
            if decision_id is None
            else kept_parts.c.decision_id == decision_id
        )
        with self.database.write() as connection:
            connection.execute(delete(kept_parts).where(which))

    def used(self) -> set[str]:
        """SHA-256 of all files."""
        with self.database.read() as connection:
            return set(connection.execute(select(kept_parts.c.sha256)).scalars())

    def read(self, parts: Sequence[Part], without: Collection[str] = ()) -> Iterator[Named]:
        """Decode parts one by one, but for those with these digests of their pixels."""
        for part in parts:
            data, name = self.pictures.get(part.sha256), f"picture{part.suffix}"
            image = decode_untrusted(data, name, max_pixels=self.pixels)
            if pixel_digest(image) not in without:
                yield part.name, image

    def beside(
        self, product: Product, joins: Collection[str] = ()
    ) -> tuple[Iterator[Named] | None, Iterator[Named] | None]:
        """Good and defective parts that are kept beside a product's support.

        Args:
            product: The product.
            joins: Digests of pixels that are about to join the support.

        Returns:
            Good ones and defective ones, ``None`` where none is kept.
        """
        good, defects = self.list(product.name, "good"), self.list(product.name, "defect")
        support = {picture.pixels for picture in product.support} | set(joins)
        return (
            self.read(good, support) if good else None,
            self.read(defects) if defects else None,
        )


def _row(product: str, part: Part) -> dict[str, object]:
    return {
        "product": product,
        "kind": part.kind,
        "name": part.name,
        "sha256": part.sha256,
        "suffix": part.suffix,
        "decision_id": part.decision_id,
    }
