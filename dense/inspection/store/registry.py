"""Products by name, with versions and undo; changes of two processes are never mixed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dense.errors import ConflictError, InputError, UnknownNameError, unknown_name
from dense.inspection.ledger.rows import add as add_to_log
from dense.inspection.product import Product, check_name, fingerprint
from dense.inspection.store.blobs import YOUNG, Blobs
from dense.inspection.store.database import PATIENCE, Database
from dense.inspection.store.places import PICTURES, database_url, default_home
from dense.inspection.store.tables import products, versions

NOTE_LETTERS = 400


@dataclass(frozen=True)
class Record:
    """A version of a product as it was read.

    Attributes:
        product: What it is.
        version: Its number, from 1.
        parent: The version that it was made from.
        revision: Of the product's row when it was read: a change made on it is refused if
            another process was faster.
        made_at: ISO 8601, UTC.
        note: What was done.
    """

    product: Product
    version: int
    parent: int | None
    revision: int
    made_at: str
    note: str

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "version": self.version,
            "parent": self.parent,
            "made_at": self.made_at,
            "note": self.note,
            "product": self.product.to_json(),
        }


class Registry:
    """Products in a home folder: ``registry.sqlite``, ``blobs/``, ``pictures/`` and ``keys/``.

    ``blobs/`` holds what products need, ``pictures/`` what was judged, with the maps.

    Args:
        home: The folder; `default_home` if ``None``.
        database: URL of another database than the folder's own; ``DENSE_DATABASE`` if ``None``.
        patience: Seconds to wait for another process that writes.

    Raises:
        InputError: If the place cannot be used.
    """

    def __init__(
        self,
        home: str | Path | None = None,
        *,
        database: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.home = default_home() if home is None else Path(home)
        self.database = Database(database_url(self.home, database), patience=patience)
        self.blobs = Blobs(self.home / "blobs")
        self.pictures = Blobs(self.home / PICTURES)

    def create(
        self, product: Product, note: str, *, version: int = 1, made_at: str | None = None
    ) -> Record:
        """Add a product.

        Args:
            product: Its files must be in `blobs`.
            note: What was done.
            version: Number of its first version: an imported product keeps its own.
            made_at: When that was made, ISO 8601; now if ``None``.

        Raises:
            InputError: If the name is taken.
        """
        try:
            with self.database.write() as connection:
                added = insert(products).values(name=product.name, head=version, revision=1)
                key = connection.execute(added.returning(products.c.id)).scalar_one()
                self._add(connection, key, product, version, None, note, made_at)
                _log(connection, "created", product, version, note)
        except InputError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise _taken(product.name) from error
            raise
        return self.get(product.name)

    def check_free(self, name: str) -> None:
        """Refuse a name that is taken or none, before the work of making a product.

        Raises:
            InputError: If it is.
        """
        if check_name(name) in self.names():
            raise _taken(name)

    def get(self, name: str, version: int | None = None) -> Record:
        """Read the version in use, or another.

        Raises:
            InputError: If there is no such product or version.
        """
        with self.database.read() as connection:
            row = self._row(connection, name)
            wanted = row.head if version is None else version
            found = connection.execute(
                select(versions).where(versions.c.product_id == row.id, versions.c.number == wanted)
            ).one_or_none()
            if found is None:
                numbers = self._numbers(connection, row.id)
                raise UnknownNameError(
                    f"product {name!r} has no version {version}, but {', '.join(map(str, numbers))}"
                )
            return _record(found, row.revision)

    def stamp(self, name: str, version: int | None = None) -> tuple[int, str]:
        """Number of a version, by default the one in use, and when it was made; nothing is read.

        Raises:
            InputError: If there is no such product.
        """
        with self.database.read() as connection:
            row = self._row(connection, name)
            number = row.head if version is None else version
            made_at = connection.execute(
                select(versions.c.made_at).where(
                    versions.c.product_id == row.id, versions.c.number == number
                )
            ).scalar_one_or_none()
            if made_at is None:
                raise UnknownNameError(f"product {name!r} has no version {number}")
            return number, str(made_at)

    def names(self) -> list[str]:
        """All products, sorted."""
        with self.database.read() as connection:
            return list(connection.execute(select(products.c.name).order_by("name")).scalars())

    def history(self, name: str) -> list[Record]:
        """All versions of a product, oldest first.

        Raises:
            InputError: If there is no such product.
        """
        with self.database.read() as connection:
            row = self._row(connection, name)
            found = connection.execute(
                select(versions).where(versions.c.product_id == row.id).order_by("number")
            )
            return [_record(entry, row.revision) for entry in found]

    def save(self, seen: Record, product: Product, note: str) -> Record:
        """Make a new version from one that was read.

        Raises:
            InputError: If the product was changed since, or is gone.
        """
        if product.name != seen.product.name:
            raise InputError(f"product {seen.product.name!r} cannot become {product.name!r}")
        with self.database.write() as connection:
            row = self._row(connection, product.name)
            number = self._numbers(connection, row.id)[-1] + 1
            self._move(connection, seen, number)
            self._add(connection, row.id, product, number, seen.version, note)
            _log(connection, "changed", product, number, note)
        return self.get(product.name)

    def undo(self, name: str) -> Record:
        """Go back to the version that the one in use was made from; nothing is erased.

        Raises:
            InputError: If there is none.
        """
        seen = self.get(name)
        if seen.parent is None:
            raise InputError(
                f"version {seen.version} of product {name!r} is its first: there is nothing to undo"
            )
        with self.database.write() as connection:
            self._move(connection, seen, seen.parent)
            body = {"what": "undone", "version": seen.parent, "note": f"back from {seen.version}"}
            add_to_log(connection, "product", name, body)
        return self.get(name)

    def delete(self, name: str) -> None:
        """Forget a product with all versions; `collect` removes its files.

        Raises:
            InputError: If there is no such product.
        """
        with self.database.write() as connection:
            row = self._row(connection, name)
            connection.execute(delete(versions).where(versions.c.product_id == row.id))
            connection.execute(delete(products).where(products.c.id == row.id))
            body = {"what": "deleted", "version": row.head, "note": ""}
            add_to_log(connection, "product", name, body)

    def collect(self, *, young: float = YOUNG) -> int:
        """Remove files that no version of any product uses; returns the bytes freed."""
        with self.database.read() as connection:
            contents = connection.execute(select(versions.c.content)).scalars()
            used = {sha256 for content in contents for sha256 in Product.from_json(content).blobs}
        return self.blobs.collect(used, young=young)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def _row(self, connection: Connection, name: str) -> Row[tuple[int, str, int, int]]:
        row = connection.execute(select(products).where(products.c.name == name)).one_or_none()
        if row is None:
            known = list(connection.execute(select(products.c.name)).scalars())
            if known:
                raise unknown_name("product", name, known)
            check_name(name)
            raise UnknownNameError(
                f"no product {name!r}, there is none yet: dense product create {name} --support DIR"
            )
        return row

    def _numbers(self, connection: Connection, key: int) -> list[int]:
        wanted = select(versions.c.number).where(versions.c.product_id == key).order_by("number")
        return list(connection.execute(wanted).scalars())

    def _move(self, connection: Connection, seen: Record, head: int) -> None:
        """Set the version in use, if the row is still as it was read (optimistic locking)."""
        changed = connection.execute(
            update(products)
            .where(products.c.name == seen.product.name, products.c.revision == seen.revision)
            .values(head=head, revision=seen.revision + 1)
        )
        if changed.rowcount != 1:
            raise ConflictError(
                f"product {seen.product.name!r} was changed by another process meanwhile: look at "
                "it again (dense product show) and repeat; nothing was changed"
            )

    def _add(
        self,
        connection: Connection,
        key: int,
        product: Product,
        number: int,
        parent: int | None,
        note: str,
        made_at: str | None = None,
    ) -> None:
        row = insert(versions).values(
            product_id=key,
            number=number,
            parent=parent,
            made_at=made_at or datetime.now(timezone.utc).isoformat(timespec="seconds"),
            note=note[:NOTE_LETTERS],
            content=product.to_json(),
        )
        connection.execute(row)


def _log(connection: Connection, what: str, product: Product, version: int, note: str) -> None:
    known = product.calibration
    body = {
        "what": what,
        "version": version,
        "note": note[:NOTE_LETTERS],
        "sha256": fingerprint(product),
        "weights": product.weights,
        "thresholds": {} if known is None else known.thresholds,
        "alpha": None if known is None else known.alpha,
    }
    add_to_log(connection, "product", product.name, body)


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"there is a product {name!r} already: choose another name, or delete that one first"
    )


def _record(row: Row[tuple[object, ...]], revision: int) -> Record:
    product = Product.from_json(row.content)
    return Record(product, row.number, row.parent, revision, row.made_at, row.note)
