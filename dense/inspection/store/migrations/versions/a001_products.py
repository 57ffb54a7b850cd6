"""Products and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "products",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("head", sa.Integer, nullable=False, comment="number of the version in use"),
        sa.Column(
            "revision", sa.Integer, nullable=False, comment="grows with every change of this row"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.UniqueConstraint("name", name="uq_products_name"),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("product_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("parent", sa.Integer, comment="number of the version that it was made from"),
        sa.Column("made_at", sa.String(40), nullable=False, comment="ISO 8601, UTC"),
        sa.Column("note", sa.String(400), nullable=False),
        sa.Column("content", sa.JSON, nullable=False, comment="dense.inspection.product.Product"),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_versions_product_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("product_id", "number", name="uq_versions_product_id"),
    )
    op.create_index("ix_versions_product_id", "versions", ["product_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("versions")
    op.drop_table("products")
