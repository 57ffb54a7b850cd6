"""Passwords and keys: from the environment or a private file, never from the command line.

Command lines stand in process lists, shell histories and logs. A secret ``MQTT_PASSWORD`` is the
variable ``DENSE_MQTT_PASSWORD``, or a line ``MQTT_PASSWORD=…`` of the secrets file. Two brokers
with two logins: ``secrets=NAME`` in an address reads ``NAME_PASSWORD`` instead.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dense.errors import InputError


class Secrets:
    """Looks up secrets by name.

    Args:
        file: Lines ``NAME=VALUE``; blank lines and lines starting with ``#`` do not count.
        environment: Where ``DENSE_NAME`` is looked up; the process's own if ``None``.

    Raises:
        InputError: If the file cannot be read, others may read it, or a line has another form.
    """

    def __init__(
        self, file: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._environment = os.environ if environment is None else environment
        self._values = {} if file is None else _read(file)

    def __repr__(self) -> str:
        return "Secrets(...)"

    def find(self, name: str) -> str | None:
        """The secret, ``None`` if there is none; the environment goes before the file."""
        return self._environment.get(f"DENSE_{name}") or self._values.get(name)

    def refuse_in_address(self, address: str, prefix: str) -> None:
        """Refuse a login inside an address.

        Raises:
            InputError: If there is one; the message does not repeat it.
        """
        parts = urlsplit(address)
        if parts.username or parts.password or "@" in parts.netloc:
            raise InputError(
                f"a login stands in the address of {parts.scheme}://{parts.hostname}, and command "
                f"lines are public: set DENSE_{prefix}_USERNAME and DENSE_{prefix}_PASSWORD, or "
                "give --secrets FILE"
            )


def _read(file: Path) -> dict[str, str]:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the secrets file {file}: {error}") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InputError(f"others may read the secrets file {file}: run chmod 600 {file}")
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, mark, value = line.partition("=")
        if not mark or not name.strip():
            raise InputError(f"line {number} of {file} must have the form NAME=VALUE")
        values[name.strip().removeprefix("DENSE_")] = value.strip()
    return values
