"""Keys, sessions, accepted pictures, workers, kept parts and projects of the service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a003"
down_revision = "a002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_keys()
    _make_intake()
    _make_parts()


def downgrade() -> None:
    """Drop them."""
    for name in ("projects", "kept_parts", "workers", "intake", "sessions", "api_keys"):
        op.drop_table(name)


def _make_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of the secret"),
        sa.Column("made_at", sa.String(40), nullable=False),
        sa.Column("revoked_at", sa.String(40)),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of the cookie"),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("expires", sa.Float, nullable=False, comment="seconds since 1970"),
        sa.PrimaryKeyConstraint("hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name="fk_sessions_key_id", ondelete="CASCADE"
        ),
    )


def _make_intake() -> None:
    op.create_table(
        "intake",
        sa.Column("id", sa.String(32), nullable=False, comment="of the decision"),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("source", sa.String(400), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, comment="the picture's file"),
        sa.Column("suffix", sa.String(8), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("again", sa.String(64), comment="hash of actor and Idempotency-Key"),
        sa.Column("state", sa.String(8), nullable=False, comment="waiting or done"),
        sa.Column("owner", sa.String(32), comment="worker that has it in hand"),
        sa.Column("attempts", sa.Integer, nullable=False, comment="workers that took it in hand"),
        sa.Column("accepted", sa.Float, nullable=False, comment="seconds since 1970"),
        sa.PrimaryKeyConstraint("id", name="pk_intake"),
        sa.UniqueConstraint("again", name="uq_intake_again"),
    )
    op.create_index("ix_intake_state", "intake", ["state"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("beat", sa.Integer, nullable=False, comment="grows while the worker lives"),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _make_parts() -> None:
    op.create_table(
        "kept_parts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False, comment="good or defect"),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, comment="the picture's file"),
        sa.Column("suffix", sa.String(8), nullable=False),
        sa.Column("decision_id", sa.String(32), comment="of the feedback that it came from"),
        sa.PrimaryKeyConstraint("id", name="pk_kept_parts"),
        sa.UniqueConstraint("product", "kind", "sha256", name="uq_kept_parts_product"),
    )
    op.create_index("ix_kept_parts_product", "kept_parts", ["product"])
    op.create_table(
        "projects",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column(
            "content", sa.JSON, nullable=False, comment="datasets and models, dense.service.lookout"
        ),
        sa.PrimaryKeyConstraint("name", name="pk_projects"),
    )
