"""Registries on SQLite and on a real PostgreSQL, where its programs are installed."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from dense.inspection.store.registry import Registry

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[], str]]:
    """URLs of new databases on a PostgreSQL of our own, in a temporary folder, by a socket."""
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    if not PROGRAMS:
        pytest.skip("the programs of PostgreSQL are not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if not shutil.which("runuser"):
            pytest.skip("PostgreSQL does not run as root, and runuser is not here")
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def run(*words: str) -> None:
        subprocess.run([*as_user, *words], check=True, capture_output=True, cwd=folder)

    control, numbers = str(PROGRAMS[-1]), itertools.count()
    run(control, "initdb", "-D", f"{folder}/data", "-o", "--auth=trust --username=tester")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    run(control, "start", "-w", "-D", f"{folder}/data", "-l", f"{folder}/log", "-o", options)

    def new() -> str:
        name = f"test{next(numbers)}"
        url = f"postgresql+psycopg://tester@/postgres?host={folder}"
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"postgresql://tester@/{name}?host={folder}"

    try:
        yield new
    finally:
        run(control, "stop", "-m", "immediate", "-D", f"{folder}/data")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    url = request.getfixturevalue("server")() if request.param == "postgresql" else None
    made = Registry(tmp_path, database=url, patience=2)
    yield made
    made.close()
