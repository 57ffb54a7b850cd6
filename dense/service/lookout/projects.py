"""Projects: the data sets and models of the table, each change one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypedDict, TypeVar

from sqlalchemy import delete, insert, select, update

from dense.errors import ConflictError
from dense.inspection.product import check_name
from dense.inspection.store.database import Database
from dense.service.errors import LostError
from dense.service.tables import projects

Answer = TypeVar("Answer")
MOST_ENTRIES = 16_000


class EntryRow(TypedDict):
    """A picture of a data set."""

    sha256: str
    suffix: str
    anomalous: bool
    added: float


class DatasetRow(TypedDict):
    """A data set."""

    made: float
    changed: float
    entries: list[EntryRow]


class ModelRow(TypedDict):
    """A model: a version of the product."""

    made: float
    description: str
    hosted: bool
    performance: dict[str, float] | None


class ProjectRow(TypedDict):
    """A project."""

    made: float
    datasets: dict[str, DatasetRow]
    models: dict[str, ModelRow]


class Projects:
    """The table.

    Args:
        database: Of the registry.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def make(self, name: str) -> ProjectRow:
        """Add a project.

        Raises:
            ConflictError: If there is one.
        """
        row: ProjectRow = {"made": time.time(), "datasets": {}, "models": {}}
        with self.database.write() as connection:
            there = select(projects.c.name).where(projects.c.name == check_name(name))
            if connection.execute(there).first() is not None:
                raise ConflictError(f"there is a project {name!r} already")
            connection.execute(insert(projects).values(name=name, content=row))
        return row

    def names(self) -> list[str]:
        """All, sorted."""
        with self.database.read() as connection:
            return list(connection.execute(select(projects.c.name).order_by("name")).scalars())

    def get(self, name: str) -> ProjectRow:
        """One.

        Raises:
            LostError: If there is none.
        """
        with self.database.read() as connection:
            wanted = select(projects.c.content).where(projects.c.name == name)
            found: ProjectRow | None = connection.execute(wanted).scalar_one_or_none()
        if found is None:
            raise LostError(f"no project {name[:80]!r}")
        return found

    def change(self, name: str, how: Callable[[ProjectRow], Answer]) -> Answer:
        """Change a project in place.

        Raises:
            LostError: If there is none.
        """
        with self.database.write() as connection:
            wanted = select(projects.c.content).where(projects.c.name == name).with_for_update()
            found: ProjectRow | None = connection.execute(wanted).scalar_one_or_none()
            if found is None:
                raise LostError(f"no project {name[:80]!r}")
            answer = how(found)
            changed = update(projects).where(projects.c.name == name).values(content=found)
            connection.execute(changed)
        return answer

    def delete(self, name: str) -> None:
        """Forget one."""
        with self.database.write() as connection:
            connection.execute(delete(projects).where(projects.c.name == name))

    def used(self) -> set[str]:
        """SHA-256 of the pictures of all data sets."""
        with self.database.read() as connection:
            rows: list[ProjectRow] = list(connection.execute(select(projects.c.content)).scalars())
        return {
            entry["sha256"]
            for row in rows
            for dataset in row["datasets"].values()
            for entry in dataset["entries"]
        }


def dataset_of(project: ProjectRow, kind: str) -> DatasetRow:
    """A data set of a project.

    Raises:
        LostError: If there is none.
    """
    if kind not in project["datasets"]:
        raise LostError(f"the project has no {kind[:20]!r} dataset")
    return project["datasets"][kind]
