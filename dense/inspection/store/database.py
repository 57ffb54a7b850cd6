"""The connection: SQLite by default, PostgreSQL by its URL; migrations; errors as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from dense.errors import InputError, MissingDependencyError, StoreError
from dense.outputs import check_writable

REVISION = "a003"
"""The newest step in `migrations`."""
PATIENCE = 15.0
"""Seconds to wait for another process that writes."""
_LOCK = 0x64656E73
"""Advisory lock of PostgreSQL under which tables are made."""


class Database:
    """Transactions on the registry's tables.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.
        patience: Seconds to wait for another process that writes.

    Raises:
        InputError: If it cannot be reached, or was made by a newer version of this package.
        MissingDependencyError: If the driver is not installed.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        self.url, self.patience = _read_url(url), patience
        self.name = self.url.render_as_string(hide_password=True)
        self.engine = self._connect()
        self._migrate()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; SQLite's waits here, not in the middle."""
        with self._told(), self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _connect(self) -> Engine:
        lite = self.url.get_backend_name() == "sqlite"
        if lite and self.url.database:
            check_writable(Path(self.url.database).parent)
        try:
            waits = {"timeout": self.patience} if lite else {"connect_timeout": int(self.patience)}
            engine = create_engine(self.url, connect_args=waits, pool_pre_ping=not lite)
        except NoSuchModuleError as error:
            raise InputError(f"unknown kind of database: {self.name}") from error
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "PostgreSQL needs its driver: pip install 'dense-clip[postgres]'"
            ) from error
        if lite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _migrate(self) -> None:
        """Bring the tables to the newest form; one process does it, others wait."""
        with self.read() as connection:
            if _revision(connection) == REVISION:
                return
        with self.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            found = _revision(connection)
            if found != REVISION:
                self._upgrade(connection)

    def _upgrade(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise InputError(
                f"the registry {self.name} was made by a newer version of this package: update it"
            ) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(self._sentence(error)) from error

    def _sentence(self, error: SQLAlchemyError) -> str:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        said = reason.casefold()
        if "locked" in said or "busy" in said:
            return (
                f"the registry {self.name} was in use by another process for more than "
                f"{self.patience:g} seconds: try again when it is done; nothing was changed"
            )
        if "full" in said or "no space" in said:
            return f"no room left for the registry {self.name}: free space; nothing was changed"
        if "malformed" in said or "not a database" in said:
            return f"the registry {self.name} is damaged or no registry: restore a copy of it"
        if "readonly" in said or "read-only" in said or "permission denied" in said:
            return f"the registry {self.name} cannot be written: check its permissions"
        return f"cannot use the registry {self.name}: {reason}"


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(
            "the database is given as sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _prepare_sqlite(connection: object, _: object) -> None:
    """Own transactions (also around changes of tables), write-ahead log, foreign keys."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
