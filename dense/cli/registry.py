"""Options that say where products are kept, for all commands that need them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common

if TYPE_CHECKING:
    from dense.inspection.store.registry import Registry


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --home, --database and --json."""
    group = parser.add_argument_group("registry")
    group.add_argument(
        "--home", type=Path, metavar="DIR", help="its folder (default: DENSE_HOME or ~/.dense)"
    )
    group.add_argument(
        "--database",
        metavar="URL",
        help="PostgreSQL instead of the folder's SQLite (default: DENSE_DATABASE)",
    )
    common.add_json_option(parser)


def open_registry(arguments: argparse.Namespace) -> Registry:
    """The registry of --home and --database."""
    from dense.inspection.store.registry import Registry

    return Registry(arguments.home, database=arguments.database)


def open_known(arguments: argparse.Namespace) -> Registry:
    """The same, which must be there: a new one is not made.

    Raises:
        InputError: If there is none.
    """
    from dense.errors import InputError
    from dense.inspection.store.places import FILE, default_home, other_database

    home = arguments.home or default_home()
    if not other_database(arguments.database) and not (home / FILE).is_file():
        raise InputError(f"no registry in {home}: give its folder with --home")
    return open_registry(arguments)
