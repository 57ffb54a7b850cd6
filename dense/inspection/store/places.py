"""Where a registry is: its folder, its database."""

from __future__ import annotations

import os
from pathlib import Path

HOME = "DENSE_HOME"
DATABASE = "DENSE_DATABASE"
FILE = "registry.sqlite"
"""The folder's own database."""
PICTURES = "pictures"
"""The folder of what was judged."""


def default_home() -> Path:
    """The folder of the registry: ``DENSE_HOME``, or ``.dense`` in the user's own."""
    return Path(os.environ.get(HOME) or Path.home() / ".dense")


def other_database(given: str | None) -> str | None:
    """URL of a database that is not the folder's own: `given`, or ``DENSE_DATABASE``."""
    return given or os.environ.get(DATABASE) or None


def database_url(home: Path, given: str | None = None) -> str:
    """URL of the database of the registry in `home`, see `other_database`."""
    return other_database(given) or f"sqlite:///{(home / FILE).resolve()}"
