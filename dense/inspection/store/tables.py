"""Tables of the registry.

`log` is the truth about decisions and feedback; `decisions` and `feedback` are made from it, in the
same transaction, to be asked (`dense.inspection.ledger`).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
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

log = Table(
    "log",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False, comment="1, 2, … without gaps"),
    Column("made_at", String(32), nullable=False, comment="ISO 8601, UTC"),
    Column("kind", String(32), nullable=False, index=True),
    Column("product", String(64), nullable=False, comment="empty for none"),
    Column("actor", String(120), nullable=False),
    Column("body", Text, nullable=False, comment="canonical JSON"),
    Column("previous_hash", String(64), nullable=False, comment="of the entry before"),
    Column("hash", String(64), nullable=False, comment="of all other columns"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False, comment="of its log entry"),
    Column("id", String(32), nullable=False, unique=True),
    Column("product", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("source", String(500), nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("judged_at", String(32), nullable=False, index=True, comment="ISO 8601, UTC"),
    Column("score", Float),
    Column("threshold", Float),
    Column("distance", Float),
    Column("reasons", String(1000), nullable=False, comment="to search in"),
    Column("picture", String(64), comment="SHA-256 of the picture's file"),
    Column("evidence", String(64), comment="SHA-256 of the file with the maps"),
    Index("ix_decisions_product", "product", "seq"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False, comment="of its log entry"),
    Column("decision_seq", Integer, nullable=False, index=True),
    Column("decision_id", String(32), nullable=False),
    Column("product", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("note", String(2000), nullable=False),
    Column("use", String(16), comment="what it was used for"),
    Column("actor", String(120), nullable=False),
    Column("made_at", String(32), nullable=False),
    Column("ended_by", Integer, comment="entry that undid or replaced it"),
)
