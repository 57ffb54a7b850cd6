"""Tables of the registry."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

products = Table(
    "products",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("head", Integer, nullable=False, comment="number of the version in use"),
    Column("revision", Integer, nullable=False, comment="grows with every change of this row"),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "product_id",
        Integer,
        ForeignKey("products.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("number", Integer, nullable=False),
    Column("parent", Integer, comment="number of the version that it was made from"),
    Column("made_at", String(40), nullable=False, comment="ISO 8601, UTC"),
    Column("note", String(400), nullable=False),
    Column("content", JSON, nullable=False, comment="dense.inspection.product.Product"),
    UniqueConstraint("product_id", "number"),
)
