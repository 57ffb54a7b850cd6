"""The registry: versions, undo, locks, migrations; the same on SQLite and a real PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import dense.service.tables  # noqa: F401
from dense.errors import InputError
from dense.inspection.store.blobs import Blobs
from dense.inspection.store.database import Database
from dense.inspection.store.registry import Registry
from dense.inspection.store.tables import metadata
from tests.inspection.products import record


def test_versions_and_undo(registry: Registry) -> None:
    first = registry.create(record(), "created")
    second = registry.save(first, replace(record(), words="bolt"), "renamed")
    third = registry.save(second, replace(record(), words="screw"), "again")
    assert [one.version for one in registry.history("nut")] == [1, 2, 3]
    assert registry.get("nut").product.words == "screw"
    assert registry.undo("nut").product.to_json() == second.product.to_json()
    assert registry.undo("nut").product.to_json() == first.product.to_json()
    with pytest.raises(InputError, match="is its first: there is nothing to undo"):
        registry.undo("nut")
    branch = registry.save(registry.get("nut"), replace(record(), words="rod"), "branch")
    assert (branch.version, branch.parent) == (4, 1)
    assert registry.get("nut", 3).product.to_json() == third.product.to_json()


def test_a_slower_process_loses_nothing_and_overwrites_nothing(registry: Registry) -> None:
    seen = registry.create(record(), "created")
    registry.save(seen, replace(record(), words="by the faster"), "first")
    with pytest.raises(InputError, match="changed by another process meanwhile"):
        registry.save(seen, replace(record(), words="by the slower"), "second")
    assert registry.get("nut").product.words == "by the faster"
    assert len(registry.history("nut")) == 2


def test_many_writers_at_once(registry: Registry) -> None:
    """Of eight writers that read the same state exactly one is heard each time."""
    seen = registry.create(record(), "created")
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            registry.save(seen, replace(record(), words=f"writer {number}"), "x")
            outcomes.append("kept")
        except InputError as error:
            outcomes.append("meanwhile" if "meanwhile" in str(error) else str(error))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", *["meanwhile"] * 7]


def test_names(registry: Registry) -> None:
    registry.create(record("nut"), "created")
    with pytest.raises(InputError, match="there is a product 'nut' already"):
        registry.create(record("nut"), "created")
    with pytest.raises(InputError, match="there is a product 'nut' already"):
        registry.check_free("nut")
    with pytest.raises(InputError, match="starts with a letter"):
        registry.check_free("../nut")
    with pytest.raises(InputError, match=r"unknown product 'nux': the nearest .* nut"):
        registry.get("nux")
    with pytest.raises(InputError, match="has no version 7, but 1"):
        registry.get("nut", 7)
    with pytest.raises(InputError, match="cannot become"):
        registry.save(registry.get("nut"), record("bolt"), "x")
    registry.delete("nut")
    assert registry.names() == []
    with pytest.raises(InputError, match="there is none yet: dense product create"):
        registry.get("nut")


def test_migrations_make_the_tables(registry: Registry) -> None:
    with registry.database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_a_registry_of_a_newer_version(registry: Registry) -> None:
    change = "UPDATE alembic_version SET version_num = '{}'"
    with registry.database.write() as connection:
        connection.exec_driver_sql(change.format("z999"))
    url = registry.database.url.render_as_string(hide_password=False)
    with pytest.raises(InputError, match="newer version of this package"):
        Database(url)


def test_a_lock_that_does_not_go_away(tmp_path: Path) -> None:
    registry = Registry(tmp_path, patience=0.2)
    other = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InputError, match=r"in use by another process .* nothing was changed"):
        registry.create(record(), "created")
    assert registry.names() == []  # readers are not held up
    other.execute("ROLLBACK")
    assert registry.create(record(), "created").version == 1


def test_no_room(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    seen = registry.create(record(), "created")
    big = replace(record(), words="x" * 200_000)
    with registry.database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 12")
    with pytest.raises(InputError, match="no room left for the registry"):
        registry.save(seen, big, "too big")
    assert [one.version for one in Registry(tmp_path).history("nut")] == [1]


def test_broken_places(tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").write_bytes(b"no database at all, but some text" * 99)
    with pytest.raises(InputError, match="damaged or no registry"):
        Registry(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write into"):
        Registry(tmp_path / "file")
    with pytest.raises(InputError, match="given as sqlite"):
        Registry(tmp_path, database="nonsense")
    with pytest.raises(InputError, match="unknown kind of database"):
        Registry(tmp_path, database="cobol://x/y")


def test_passwords_are_not_told(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(InputError, match="cannot use the registry") as caught:
        Registry(tmp_path, database="postgresql://me:hunter2@127.0.0.1:1/x", patience=1)
    assert "hunter2" not in str(caught.value)


def test_blobs(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"one")
    assert blobs.put(b"one") == name and blobs.get(name) == b"one" and list(blobs) == [name]
    blobs.path(name).write_bytes(b"two")
    with pytest.raises(InputError, match="damaged"):
        blobs.get(name)
    with pytest.raises(InputError, match="missing"):
        blobs.get("0" * 64)
    with pytest.raises(InputError, match="hexadecimal"):
        blobs.get("../../etc/passwd")


def test_collecting_leaves_what_is_used_or_young(registry: Registry) -> None:
    blobs = registry.blobs
    used, undone, _ = (blobs.put(data) for data in (b"used", b"undone", b"unused"))
    seen = registry.create(record(blob=used), "created")
    registry.save(seen, record(blob=undone), "changed")
    registry.undo("nut")
    assert registry.collect() == 0  # the unused one may belong to a product in the making
    old = time.time() - 7200
    for name in list(blobs):
        os.utime(blobs.path(name), (old, old))
    assert registry.collect() == len(b"unused")
    assert sorted(blobs) == sorted([used, undone])
    registry.delete("nut")
    assert registry.collect() == len(b"used") + len(b"undone")
