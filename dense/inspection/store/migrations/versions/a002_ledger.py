"""The log, which only grows, and the tables that are made from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a002"
down_revision = "a001"
branch_labels = None
depends_on = None

_SQLITE = """CREATE TRIGGER log_{what} BEFORE {what} ON log
BEGIN SELECT RAISE(ABORT, 'the log only grows'); END"""
_POSTGRESQL = (
    """CREATE FUNCTION log_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the log only grows'; END $$""",
    """CREATE TRIGGER log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON log
FOR EACH STATEMENT EXECUTE FUNCTION log_only_grows()""",
)


def upgrade() -> None:
    """Make the tables, and let the database itself refuse changes of the log."""
    _make_log()
    _make_decisions()
    _make_feedback()
    if op.get_bind().dialect.name == "sqlite":
        statements = [_SQLITE.format(what=what) for what in ("UPDATE", "DELETE")]
    else:
        statements = list(_POSTGRESQL)
    for statement in statements:
        op.execute(sa.DDL(statement))


def downgrade() -> None:
    """Drop them."""
    for name in ("feedback", "decisions", "log"):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.DDL("DROP FUNCTION log_only_grows"))


def _make_log() -> None:
    op.create_table(
        "log",
        sa.Column(
            "seq", sa.Integer, nullable=False, autoincrement=False, comment="1, 2, … without gaps"
        ),
        sa.Column("made_at", sa.String(32), nullable=False, comment="ISO 8601, UTC"),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("product", sa.String(64), nullable=False, comment="empty for none"),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("body", sa.Text, nullable=False, comment="canonical JSON"),
        sa.Column("previous_hash", sa.String(64), nullable=False, comment="of the entry before"),
        sa.Column("hash", sa.String(64), nullable=False, comment="of all other columns"),
        sa.PrimaryKeyConstraint("seq", name="pk_log"),
    )
    op.create_index("ix_log_kind", "log", ["kind"])


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column(
            "seq", sa.Integer, nullable=False, autoincrement=False, comment="of its log entry"
        ),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("source", sa.String(500), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("judged_at", sa.String(32), nullable=False, comment="ISO 8601, UTC"),
        sa.Column("score", sa.Float),
        sa.Column("threshold", sa.Float),
        sa.Column("distance", sa.Float),
        sa.Column("reasons", sa.String(1000), nullable=False, comment="to search in"),
        sa.Column("picture", sa.String(64), comment="SHA-256 of the picture's file"),
        sa.Column("evidence", sa.String(64), comment="SHA-256 of the file with the maps"),
        sa.PrimaryKeyConstraint("seq", name="pk_decisions"),
        sa.UniqueConstraint("id", name="uq_decisions_id"),
    )
    op.create_index("ix_decisions_judged_at", "decisions", ["judged_at"])
    op.create_index("ix_decisions_product", "decisions", ["product", "seq"])


def _make_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column(
            "seq", sa.Integer, nullable=False, autoincrement=False, comment="of its log entry"
        ),
        sa.Column("decision_seq", sa.Integer, nullable=False),
        sa.Column("decision_id", sa.String(32), nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("note", sa.String(2000), nullable=False),
        sa.Column("use", sa.String(16), comment="what it was used for"),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("made_at", sa.String(32), nullable=False),
        sa.Column("ended_by", sa.Integer, comment="entry that undid or replaced it"),
        sa.PrimaryKeyConstraint("seq", name="pk_feedback"),
    )
    op.create_index("ix_feedback_decision_seq", "feedback", ["decision_seq"])
    op.create_index("ix_feedback_product", "feedback", ["product"])
