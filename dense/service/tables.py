"""Tables of the service, beside those of the registry."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, String, Table, UniqueConstraint

from dense.inspection.store.tables import metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret"),
    Column("made_at", String(40), nullable=False),
    Column("revoked_at", String(40)),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of the cookie"),
    Column("key_id", String(16), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("expires", Float, nullable=False, comment="seconds since 1970"),
)

intake = Table(
    "intake",
    metadata,
    Column("id", String(32), primary_key=True, comment="of the decision"),
    Column("product", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("source", String(400), nullable=False),
    Column("sha256", String(64), nullable=False, comment="the picture's file"),
    Column("suffix", String(8), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("again", String(64), unique=True, comment="hash of actor and Idempotency-Key"),
    Column("state", String(8), nullable=False, index=True, comment="waiting or done"),
    Column("owner", String(32), comment="worker that has it in hand"),
    Column("attempts", Integer, nullable=False, comment="workers that took it in hand"),
    Column("accepted", Float, nullable=False, comment="seconds since 1970"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("beat", Integer, nullable=False, comment="grows while the worker lives"),
)

kept_parts = Table(
    "kept_parts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("product", String(64), nullable=False, index=True),
    Column("kind", String(8), nullable=False, comment="good or defect"),
    Column("name", String(400), nullable=False),
    Column("sha256", String(64), nullable=False, comment="the picture's file"),
    Column("suffix", String(8), nullable=False),
    Column("decision_id", String(32), comment="of the feedback that it came from"),
    UniqueConstraint("product", "kind", "sha256"),
)

projects = Table(
    "projects",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("content", JSON, nullable=False, comment="datasets and models, dense.service.lookout"),
)
