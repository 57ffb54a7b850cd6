"""The log and what is made of it."""

from __future__ import annotations

from pydantic import Field

from dense.service.models.common import Model


class EntryModel(Model):
    """An entry of the log."""

    seq: int
    made_at: str
    kind: str
    product: str
    actor: str
    body: dict[str, object]
    previous_hash: str
    hash: str


class LogPage(Model):
    """Entries, oldest first; give `next` as `after` for the next page."""

    items: list[EntryModel]
    next: int | None
    head: int = Field(description="Number of the last entry of all.")


class VerifiedModel(Model):
    """Whether the log is whole."""

    ok: bool
    entries: int
    broken_at: int | None = Field(description="Number of the first entry that is not as it was.")
    why: str | None
    head_hash: str
